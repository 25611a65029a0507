// The "linux" object of config.json, without its resources and seccomp.
#include <linux/mount.h>
#include <sched.h>
#include <sys/stat.h>

#include "runtime/config_parts.hpp"
#include "runtime/names.hpp"

namespace engine::runtime {

namespace {

Namespace read_namespace(const JsonCursor& entry) {
    Namespace result;
    entry.required("type", [&](const JsonCursor& type) {
        const std::string name = type.text();
        const std::optional<int> flag = namespace_flag(name);
        if (!flag)
            type.fail("unknown namespace \"" + name + "\"");
        result.flag = *flag;
    });
    entry.optional("path", [&](const JsonCursor& path) {
        if (!path.string().empty())
            result.path = path.absolute_path();
    });
    return result;
}

Device read_device(const JsonCursor& entry) {
    Device device;
    entry.required("path", [&](const JsonCursor& path) { device.path = normal_path(path.absolute_path()); });
    bool numbered = true;
    entry.required("type", [&](const JsonCursor& type) {
        const std::string name = type.text();
        if (name == "c" || name == "u")
            device.mode = S_IFCHR;
        else if (name == "b")
            device.mode = S_IFBLK;
        else if (name == "p") {
            device.mode = S_IFIFO;
            numbered = false;
        } else
            type.fail("unknown device type \"" + name + "\"");
    });
    if (numbered) {
        entry.required("major", [&](const JsonCursor& number) { device.major = number.number<std::uint32_t>(); });
        entry.required("minor", [&](const JsonCursor& number) { device.minor = number.number<std::uint32_t>(); });
    }
    mode_t permissions = 0666;
    entry.optional("fileMode", [&](const JsonCursor& mode) {
        permissions = static_cast<mode_t>(mode.unsigned_integer(0177777)) & 0777; // Docker sends the type bits too
    });
    device.mode |= permissions;
    entry.optional("uid", [&](const JsonCursor& uid) { device.uid = uid.number<std::uint32_t>(); });
    entry.optional("gid", [&](const JsonCursor& gid) { device.gid = gid.number<std::uint32_t>(); });
    return device;
}

std::vector<std::string> read_paths(const JsonCursor& paths) {
    std::vector<std::string> result;
    paths.each([&](const JsonCursor& path) { result.push_back(normal_path(path.absolute_path())); });
    return result;
}

std::uint64_t read_propagation(const JsonCursor& propagation) {
    MountOptions options;
    const std::string name = propagation.string();
    if (name.empty())
        return 0;
    apply_mount_option(options, name);
    if (options.propagation == 0)
        propagation.fail("unknown propagation \"" + name + "\"");
    return options.propagation;
}

/// A sysctl outside the container's own namespaces would change the host.
bool is_namespaced_sysctl(std::string_view key, const Linux& linux_part) {
    constexpr std::string_view ipc[] = {"kernel.auto_msgmni", "kernel.msgmax",      "kernel.msgmnb",
                                        "kernel.msgmni",      "kernel.msg_next_id", "kernel.sem",
                                        "kernel.sem_next_id", "kernel.shmall",      "kernel.shmmax",
                                        "kernel.shmmni",      "kernel.shm_next_id", "kernel.shm_rmid_forced"};
    if (std::find(std::begin(ipc), std::end(ipc), key) != std::end(ipc) || key.starts_with("fs.mqueue."))
        return linux_part.find(CLONE_NEWIPC) != nullptr;
    if (key.starts_with("net."))
        return linux_part.find(CLONE_NEWNET) != nullptr;
    if (key == "kernel.domainname" || key == "kernel.hostname")
        return linux_part.find(CLONE_NEWUTS) != nullptr;
    return key.starts_with("user.") && linux_part.find(CLONE_NEWUSER) != nullptr;
}

void read_time_offsets(const JsonCursor& clocks, Linux& result) {
    clocks.members([&](std::string_view name, const JsonCursor& entry) {
        TimeOffset offset;
        offset.clock = name;
        if (name != "monotonic" && name != "boottime")
            entry.fail("is no clock of a time namespace: \"monotonic\" and \"boottime\" are");
        entry.optional("secs", [&](const JsonCursor& seconds) {
            constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max() / 1'000'000'000; // ktime_t
            offset.seconds = seconds.integer(-most, most);
        });
        entry.optional("nanosecs", [&](const JsonCursor& nanoseconds) {
            offset.nanoseconds = static_cast<std::uint32_t>(nanoseconds.unsigned_integer(999'999'999));
        });
        result.time_offsets.push_back(std::move(offset));
    });
    const Namespace* time = result.find(CLONE_NEWTIME);
    if (!result.time_offsets.empty() && (time == nullptr || !time->path.empty()))
        clocks.fail("needs a new time namespace in linux.namespaces");
}

void read_sysctls(const JsonCursor& sysctls, Linux& result) {
    sysctls.members([&](std::string_view key, const JsonCursor& value) {
        std::string name(key);
        // As in sysctl(8): whichever of "." and "/" comes first separates.
        const std::size_t first = name.find_first_of("./");
        const bool slashes = first != std::string::npos && name[first] == '/';
        std::string dotted = name;
        for (char& c : slashes ? dotted : name) {
            if (c == '.')
                c = '/';
            else if (c == '/')
                c = '.';
        }
        // `name` is now the path below /proc/sys, `dotted` the key with dots.
        const std::string bounded = "/" + name + "/";
        if (name.empty() || bounded.find("//") != std::string::npos || bounded.find("/../") != std::string::npos ||
            bounded.find("/./") != std::string::npos || name.find('\0') != std::string::npos)
            value.fail("is no sysctl's name");
        if (!is_namespaced_sysctl(dotted, result))
            value.fail("is not of a namespace of the container: it would change the host");
        result.sysctl.emplace_back(name, value.string());
    });
}

void read_namespaces(const JsonCursor& linux_part, Linux& result) {
    linux_part.optional("namespaces", [&](const JsonCursor& namespaces) {
        namespaces.each([&](const JsonCursor& entry) {
            Namespace one = read_namespace(entry);
            if (result.find(one.flag) != nullptr)
                entry.fail("namespace \"" + std::string(namespace_type(one.flag)) + "\" is given twice");
            result.namespaces.push_back(std::move(one));
        });
    });
    if (result.find(CLONE_NEWNS) == nullptr)
        linux_part.fail_at("namespaces", "\"mount\" is missing: without it the container's mounts would be the host's");
    const auto read = [&](std::string_view key, std::vector<IdMapping>& mappings) {
        linux_part.optional(key, [&](const JsonCursor& entries) { mappings = read_id_mappings(entries); });
    };
    read("uidMappings", result.uid_mappings);
    read("gidMappings", result.gid_mappings);
    const Namespace* user = result.find(CLONE_NEWUSER);
    const bool own_user = user != nullptr && user->path.empty();
    if (own_user && (result.uid_mappings.empty() || result.gid_mappings.empty()))
        linux_part.fail_at(result.uid_mappings.empty() ? "uidMappings" : "gidMappings",
                           "a new user namespace needs both mappings");
    // With one joined by path podman gives mappings all the same: the namespace has its own, which hold.
    if (user == nullptr && (!result.uid_mappings.empty() || !result.gid_mappings.empty()))
        linux_part.fail_at(result.uid_mappings.empty() ? "gidMappings" : "uidMappings",
                           "is for a user namespace, and linux.namespaces has none");
}

} // namespace

std::vector<IdMapping> read_id_mappings(const JsonCursor& mappings) {
    std::vector<IdMapping> result;
    mappings.each([&](const JsonCursor& entry) {
        IdMapping mapping;
        entry.required("containerID", [&](const JsonCursor& id) { mapping.container = id.number<std::uint32_t>(); });
        entry.required("hostID", [&](const JsonCursor& id) { mapping.host = id.number<std::uint32_t>(); });
        entry.required("size", [&](const JsonCursor& size) { mapping.size = size.number<std::uint32_t>(); });
        if (mapping.size == 0)
            entry.fail("maps nothing: \"size\" is 0");
        result.push_back(mapping);
    });
    if (result.size() > 340) // user_namespaces(7)
        mappings.fail("has more than the kernel's 340 lines");
    return result;
}

Linux read_linux(const JsonCursor& linux_part) {
    Linux result;
    read_namespaces(linux_part, result);
    linux_part.optional("timeOffsets", [&](const JsonCursor& clocks) { read_time_offsets(clocks, result); });
    linux_part.optional("devices", [&](const JsonCursor& devices) {
        devices.each([&](const JsonCursor& device) { result.devices.push_back(read_device(device)); });
    });
    linux_part.optional("cgroupsPath", [&](const JsonCursor& path) {
        const std::string text = path.string();
        if (text.find(':') != std::string::npos && text.front() != '/') {
            result.systemd_path = text;
            return;
        }
        result.cgroups_path = text.empty() ? text : normal_path("/" + text);
        if (result.cgroups_path == "/")
            path.fail("the root cgroup is not a container's");
    });
    linux_part.optional("resources",
                        [&](const JsonCursor& resources) { result.resources = read_resources(resources); });
    linux_part.optional("seccomp", [&](const JsonCursor& seccomp) { result.seccomp = read_seccomp(seccomp); });
    linux_part.optional("maskedPaths", [&](const JsonCursor& paths) { result.masked_paths = read_paths(paths); });
    linux_part.optional("readonlyPaths", [&](const JsonCursor& paths) { result.readonly_paths = read_paths(paths); });
    linux_part.optional("sysctl", [&](const JsonCursor& sysctls) { read_sysctls(sysctls, result); });
    linux_part.optional("rootfsPropagation", [&](const JsonCursor& propagation) {
        result.rootfs_propagation = read_propagation(propagation);
    });
    linux_part.optional("personality", [&](const JsonCursor& personality) {
        personality.required("domain", [&](const JsonCursor& domain) {
            const std::string name = domain.string();
            if (name != "LINUX" && name != "LINUX32")
                domain.fail("unknown domain \"" + name + "\"");
            result.personality = name == "LINUX" ? 0UL : 8UL; // PER_LINUX, PER_LINUX32
        });
        personality.optional("flags", [](const JsonCursor& flags) {
            flags.each([](const JsonCursor& flag) { flag.fail("the specification has no values for it"); });
        });
    });
    linux_part.optional("mountLabel", [](const JsonCursor& label) {
        if (!label.string().empty())
            label.fail("not supported: this runtime has no SELinux support");
    });
    linux_part.refuse("intelRdt", "cache and memory bandwidth allocation");
    linux_part.refuse("netDevices", "moving network devices into a container");
    linux_part.refuse("memoryPolicy", "NUMA memory policies; linux.resources.cpu.mems limits the nodes");
    return result;
}

} // namespace engine::runtime
