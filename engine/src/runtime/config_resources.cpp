// linux.resources of config.json, as writes into a cgroup v2 group.
#include <linux/bpf.h>

#include "runtime/config_parts.hpp"

namespace engine::runtime {

namespace {

DeviceRule read_device_rule(const JsonCursor& entry) {
    DeviceRule rule;
    entry.required("allow", [&](const JsonCursor& allow) { rule.allow = allow.boolean(); });
    entry.optional("type", [&](const JsonCursor& type) {
        const std::string name = type.string();
        if (name != "a" && name != "b" && name != "c" && !name.empty())
            type.fail("unknown device type \"" + name + "\"");
        rule.type = name.empty() ? 'a' : name.front();
    });
    const auto number = [&](std::string_view key, std::optional<std::uint32_t>& out) {
        entry.optional(key, [&](const JsonCursor& value) {
            const std::int64_t given = value.integer(-1, 0xffffffffLL);
            if (given >= 0) // -1: every one
                out = static_cast<std::uint32_t>(given);
        });
    };
    number("major", rule.major);
    number("minor", rule.minor);
    entry.optional("access", [&](const JsonCursor& access) {
        for (const char letter : access.string()) {
            if (letter == 'r')
                rule.access |= BPF_DEVCG_ACC_READ;
            else if (letter == 'w')
                rule.access |= BPF_DEVCG_ACC_WRITE;
            else if (letter == 'm')
                rule.access |= BPF_DEVCG_ACC_MKNOD;
            else
                access.fail("\"" + access.string() + "\" is not made of r, w and m");
        }
    });
    if (rule.access == 0)
        rule.access = BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE | BPF_DEVCG_ACC_MKNOD;
    return rule;
}

void write(Resources& resources, const JsonCursor& at, std::string file, std::string value) {
    resources.writes.push_back({std::move(file), std::move(value), at.path()});
}

/// -1 is "no limit" throughout the specification.
std::string limit_text(std::int64_t limit) {
    return limit < 0 ? "max" : std::to_string(limit);
}

constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();

void read_memory(const JsonCursor& memory, Resources& resources) {
    std::int64_t limit = 0;
    memory.optional("limit", [&](const JsonCursor& value) {
        limit = value.integer(-1, largest);
        if (limit != 0)
            write(resources, value, "memory.max", limit_text(limit));
    });
    memory.optional("swap", [&](const JsonCursor& value) {
        // The specification counts memory and swap together, cgroup v2 swap alone.
        const std::int64_t swap = value.integer(-1, largest);
        if (swap == 0)
            return;
        if (swap > 0 && limit <= 0)
            value.fail("needs memory.limit: cgroup v2 limits swap by itself");
        if (swap > 0 && swap < limit)
            value.fail("is less than memory.limit; it counts memory and swap together");
        write(resources, value, "memory.swap.max", swap < 0 ? "max" : std::to_string(swap - limit));
    });
    memory.optional("reservation", [&](const JsonCursor& value) {
        const std::int64_t reservation = value.integer(-1, largest);
        if (reservation != 0)
            write(resources, value, "memory.low", limit_text(reservation));
    });
    memory.optional("checkBeforeUpdate", [&](const JsonCursor& value) {
        if (value.boolean() && limit > 0)
            resources.memory_below_use = static_cast<std::uint64_t>(limit);
    });
    memory.optional("useHierarchy", [](const JsonCursor& value) {
        if (!value.boolean())
            value.fail("not supported: cgroup v2 always counts groups below");
    });
    const auto refuse_nonzero = [&](std::string_view key, const char* reason) {
        memory.optional(key, [&](const JsonCursor& value) {
            if (value.value().is_bool() ? value.boolean() : value.integer(-1, largest) > 0)
                value.fail(std::string("not supported: ") + reason);
        });
    };
    refuse_nonzero("kernel", "cgroup v2 has no separate limit of kernel memory");
    refuse_nonzero("kernelTCP", "cgroup v2 has no separate limit of TCP memory");
    refuse_nonzero("swappiness", "cgroup v2 has no swappiness");
    refuse_nonzero("disableOOMKiller", "cgroup v2 cannot disable the OOM killer");
}

void read_cpu(const JsonCursor& cpu, Resources& resources) {
    cpu.optional("shares", [&](const JsonCursor& value) {
        const std::int64_t shares = value.integer(0, 262144);
        if (shares == 0)
            return;
        // 2..262144 onto 1..10000, as all runtimes do.
        const std::int64_t weight = 1 + (std::max<std::int64_t>(shares, 2) - 2) * 9999 / 262142;
        write(resources, value, "cpu.weight", std::to_string(weight));
    });
    std::int64_t quota = 0;
    std::uint64_t period = 0;
    cpu.optional("quota", [&](const JsonCursor& value) { quota = value.integer(-1, largest); });
    cpu.optional("period", [&](const JsonCursor& value) { period = value.unsigned_integer(); });
    std::optional<std::uint64_t> burst;
    cpu.optional("burst", [&](const JsonCursor& value) {
        burst = value.unsigned_integer();
        // The kernel refuses a quota below the burst: the old one goes first.
        if (quota != 0 || period != 0)
            write(resources, value, "cpu.max.burst", "0");
    });
    // What is not given stays as it is: the period when it comes last and is missing, the quota by a leading space.
    const std::string quota_text = quota == 0 ? "" : quota < 0 ? "max" : std::to_string(quota);
    if (quota != 0 || period != 0)
        write(resources, cpu, "cpu.max", quota_text + (period == 0 ? "" : " " + std::to_string(period)));
    if (burst)
        write(resources, cpu, "cpu.max.burst", std::to_string(*burst));
    cpu.optional("idle", [&](const JsonCursor& value) {
        write(resources, value, "cpu.idle", std::to_string(value.integer(0, 1)));
    });
    const auto set = [&](std::string_view key, const char* file) {
        cpu.optional(key, [&](const JsonCursor& value) {
            if (!value.string().empty())
                write(resources, value, file, value.string());
        });
    };
    set("cpus", "cpuset.cpus");
    set("mems", "cpuset.mems");
    const auto refuse_nonzero = [&](std::string_view key) {
        cpu.optional(key, [&](const JsonCursor& value) {
            if (value.integer(std::numeric_limits<std::int64_t>::min(), largest) != 0)
                value.fail("not supported: cgroup v2 has no limits of real-time scheduling");
        });
    };
    refuse_nonzero("realtimeRuntime");
    refuse_nonzero("realtimePeriod");
}

/// "MAJOR:MINOR" of a block device.
std::string device_number(const JsonCursor& entry) {
    std::string text;
    entry.required("major", [&](const JsonCursor& value) { text = std::to_string(value.number<std::uint32_t>()); });
    entry.required("minor",
                   [&](const JsonCursor& value) { text += ":" + std::to_string(value.number<std::uint32_t>()); });
    return text;
}

/// 10..1000 onto 1..10000, as all runtimes do; 0: not given.
std::int64_t io_weight(const JsonCursor& value) {
    const std::int64_t weight = value.integer(0, 1000);
    if (weight != 0 && weight < 10)
        value.fail("is not in 10..1000");
    return weight == 0 ? 0 : 1 + (weight - 10) * 9999 / 990;
}

void read_throttle(const JsonCursor& block_io, std::string_view key, const char* name, Resources& resources) {
    block_io.optional(key, [&](const JsonCursor& entries) {
        entries.each([&](const JsonCursor& entry) {
            std::string line = device_number(entry);
            entry.required("rate", [&](const JsonCursor& rate) {
                const std::uint64_t number = rate.unsigned_integer();
                line += std::string(" ") + name + "=" + (number == 0 ? "max" : std::to_string(number));
            });
            write(resources, entry, "io.max", line);
        });
    });
}

void read_block_io(const JsonCursor& block_io, Resources& resources) {
    block_io.optional("weight", [&](const JsonCursor& value) {
        if (const std::int64_t weight = io_weight(value); weight != 0)
            write(resources, value, "io.weight", "default " + std::to_string(weight));
    });
    block_io.optional("leafWeight", [](const JsonCursor& value) {
        if (value.integer(0, 1000) != 0)
            value.fail("not supported: cgroup v2 has no leaf weights");
    });
    block_io.optional("weightDevice", [&](const JsonCursor& devices) {
        devices.each([&](const JsonCursor& device) {
            const std::string number = device_number(device);
            device.optional("leafWeight", [](const JsonCursor& value) {
                if (value.integer(0, 1000) != 0)
                    value.fail("not supported: cgroup v2 has no leaf weights");
            });
            device.optional("weight", [&](const JsonCursor& value) {
                if (const std::int64_t weight = io_weight(value); weight != 0)
                    write(resources, value, "io.weight", number + " " + std::to_string(weight));
            });
        });
    });
    read_throttle(block_io, "throttleReadBpsDevice", "rbps", resources);
    read_throttle(block_io, "throttleWriteBpsDevice", "wbps", resources);
    read_throttle(block_io, "throttleReadIOPSDevice", "riops", resources);
    read_throttle(block_io, "throttleWriteIOPSDevice", "wiops", resources);
}

std::string read_file_name(const JsonCursor& at, std::string name) {
    if (name.empty() || name.find('/') != std::string::npos || name.find('\0') != std::string::npos ||
        name.find('.') == std::string::npos || name.front() == '.')
        at.fail("is no file of a cgroup");
    // Writing there would move processes or hand the group on: not a limit.
    if (name.starts_with("cgroup."))
        at.fail("not supported: only controllers' files may be set");
    return name;
}

} // namespace

Resources read_resources(const JsonCursor& resources) {
    Resources result;
    resources.optional("devices", [&](const JsonCursor& rules) {
        result.has_device_rules = true;
        rules.each([&](const JsonCursor& rule) { result.devices.push_back(read_device_rule(rule)); });
    });
    resources.optional("memory", [&](const JsonCursor& memory) { read_memory(memory, result); });
    resources.optional("cpu", [&](const JsonCursor& cpu) { read_cpu(cpu, result); });
    resources.optional("pids", [&](const JsonCursor& pids) {
        pids.optional("limit", [&](const JsonCursor& value) {
            const std::int64_t limit = value.integer(std::numeric_limits<std::int64_t>::min(), largest);
            if (limit != 0)
                write(result, value, "pids.max", limit_text(limit));
        });
    });
    resources.optional("blockIO", [&](const JsonCursor& block_io) { read_block_io(block_io, result); });
    resources.optional("hugepageLimits", [&](const JsonCursor& limits) {
        limits.each([&](const JsonCursor& entry) {
            std::string prefix;
            entry.required("pageSize",
                           [&](const JsonCursor& size) { prefix = read_file_name(size, "hugetlb." + size.text()); });
            entry.required("limit", [&](const JsonCursor& limit) {
                const std::string value = std::to_string(limit.unsigned_integer());
                write(result, limit, prefix + ".max", value);
                // Reserved but not yet used pages count too, where the kernel can (Linux 5.7).
                write(result, limit, prefix + ".rsvd.max", value);
                result.writes.back().optional = true;
            });
        });
    });
    resources.optional("network", [](const JsonCursor& network) {
        network.optional("classID", [](const JsonCursor& value) {
            if (value.unsigned_integer() != 0)
                value.fail("not supported: cgroup v2 has no network classes");
        });
        network.optional("priorities", [](const JsonCursor& priorities) {
            priorities.each(
                [](const JsonCursor& one) { one.fail("not supported: cgroup v2 has no network priorities"); });
        });
    });
    resources.optional("rdma", [&](const JsonCursor& rdma) {
        rdma.members([&](std::string_view name, const JsonCursor& device) {
            if (name.empty() || name.find_first_of(" \n") != std::string_view::npos)
                device.fail("\"" + std::string(name) + "\" is no device's name");
            std::string line(name);
            const auto add = [&](std::string_view key, const char* word) {
                device.optional(key, [&](const JsonCursor& value) {
                    line.append(" ").append(word).append("=").append(std::to_string(value.number<std::uint32_t>()));
                });
            };
            add("hcaHandles", "hca_handle");
            add("hcaObjects", "hca_object");
            if (line.size() != name.size())
                write(result, device, "rdma.max", line);
        });
    });
    // Last: what is given here verbatim wins over what was translated.
    resources.optional("unified", [&](const JsonCursor& unified) {
        unified.members([&](std::string_view file, const JsonCursor& value) {
            write(result, value, read_file_name(value, std::string(file)), value.string());
        });
    });
    return result;
}

} // namespace engine::runtime
