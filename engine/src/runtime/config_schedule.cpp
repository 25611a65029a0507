// process.scheduler, ioPriority and execCPUAffinity of config.json.
#include <linux/sched.h>

#include <charconv>
#include <span>

#include "runtime/config_parts.hpp"
#include "runtime/schedule.hpp"

namespace engine::runtime {

namespace {

struct Name {
    std::string_view name;
    std::uint32_t value;
};

// SCHED_ISO is in the specification's list and in no Linux.
constexpr Name policies[] = {
    {"SCHED_OTHER", SCHED_NORMAL}, {"SCHED_FIFO", SCHED_FIFO}, {"SCHED_RR", SCHED_RR},
    {"SCHED_BATCH", SCHED_BATCH},  {"SCHED_IDLE", SCHED_IDLE}, {"SCHED_DEADLINE", SCHED_DEADLINE},
};

constexpr Name scheduler_flags[] = {
    {"SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK},   {"SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM},
    {"SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN},         {"SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY},
    {"SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS},       {"SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN},
    {"SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX},
};

constexpr Name io_classes[] = {
    {"IOPRIO_CLASS_RT", io_priority::real_time},
    {"IOPRIO_CLASS_BE", io_priority::best_effort},
    {"IOPRIO_CLASS_IDLE", io_priority::idle},
};

constexpr unsigned most_cpus = 8192; // CONFIG_NR_CPUS of the largest kernels

std::uint32_t look_up(const JsonCursor& name, std::span<const Name> names, const char* what) {
    const std::string text = name.string();
    for (const Name& entry : names)
        if (entry.name == text)
            return entry.value;
    name.fail(std::string("unknown ") + what + " \"" + text + "\"");
}

/// "0-3,7"; empty: none.
std::vector<bool> read_cpu_list(const JsonCursor& list) {
    const std::string text = list.string();
    std::vector<bool> cpus;
    const char* at = text.data();
    const char* const end = at + text.size();
    const auto number = [&] {
        unsigned value = 0;
        const auto [rest, error] = std::from_chars(at, end, value);
        if (error != std::errc{} || value >= most_cpus)
            list.fail("\"" + text + "\" is no list of CPUs such as 0-3,7");
        at = rest;
        return value;
    };
    while (at != end) {
        const unsigned first = number();
        unsigned last = first;
        if (at != end && *at == '-') {
            ++at;
            last = number();
        }
        if (last < first || (at != end && (*at != ',' || ++at == end)))
            list.fail("\"" + text + "\" is no list of CPUs such as 0-3,7");
        if (cpus.size() <= last)
            cpus.resize(last + 1);
        std::fill(cpus.begin() + first, cpus.begin() + last + 1, true);
    }
    return cpus;
}

} // namespace

Scheduler read_scheduler(const JsonCursor& scheduler) {
    Scheduler result;
    scheduler.required("policy", [&](const JsonCursor& policy) {
        if (policy.string() == "SCHED_ISO")
            policy.fail("not supported: no Linux kernel has SCHED_ISO");
        result.policy = look_up(policy, policies, "scheduling policy");
    });
    const bool real_time = result.policy == SCHED_FIFO || result.policy == SCHED_RR;
    scheduler.optional("nice", [&](const JsonCursor& nice) {
        result.nice = static_cast<std::int32_t>(nice.integer(-20, 19));
        if (result.nice != 0 && result.policy != SCHED_NORMAL && result.policy != SCHED_BATCH)
            nice.fail("is for SCHED_OTHER and SCHED_BATCH only");
    });
    scheduler.optional("priority", [&](const JsonCursor& priority) {
        result.priority = static_cast<std::uint32_t>(priority.integer(0, 99));
        if (result.priority != 0 && !real_time)
            priority.fail("is for SCHED_FIFO and SCHED_RR only");
    });
    if (real_time && result.priority == 0)
        scheduler.fail("SCHED_FIFO and SCHED_RR need a \"priority\" of 1 to 99");
    scheduler.optional("flags", [&](const JsonCursor& flags) {
        flags.each([&](const JsonCursor& flag) { result.flags |= look_up(flag, scheduler_flags, "scheduling flag"); });
    });
    const auto nanoseconds = [&](std::string_view key, std::uint64_t& value) {
        scheduler.optional(key, [&](const JsonCursor& number) {
            value = number.unsigned_integer();
            if (value != 0 && result.policy != SCHED_DEADLINE)
                number.fail("is for SCHED_DEADLINE only");
        });
    };
    nanoseconds("runtime", result.runtime);
    nanoseconds("deadline", result.deadline);
    nanoseconds("period", result.period);
    return result;
}

int read_io_priority(const JsonCursor& io_priority) {
    std::uint32_t io_class = 0;
    std::uint32_t level = 0;
    io_priority.required("class",
                         [&](const JsonCursor& name) { io_class = look_up(name, io_classes, "I/O priority class"); });
    // Required by the specification; Docker's and podman's writers leave out a 0.
    io_priority.optional("priority", [&](const JsonCursor& number) {
        level = static_cast<std::uint32_t>(number.unsigned_integer(io_priority::levels - 1));
    });
    return static_cast<int>(io_class << io_priority::class_shift | level);
}

CpuAffinity read_affinity(const JsonCursor& affinity) {
    CpuAffinity result;
    affinity.optional("initial", [&](const JsonCursor& list) { result.initial = read_cpu_list(list); });
    affinity.optional("final", [&](const JsonCursor& list) { result.final = read_cpu_list(list); });
    return result;
}

} // namespace engine::runtime
