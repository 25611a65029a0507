#include "cgroups.hpp"

#include <sys/mount.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <cerrno>

#include "files.hpp"
#include "log.hpp"
#include "mounts.hpp"

namespace init {

namespace {

/// memory_recursiveprot: what is protected in atoll.system protects its children without settings of their own.
constexpr MountPlan cgroup_mount = {
    "cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, "nsdelegate,memory_recursiveprot", true};

void hand_down_controllers(const char* group) noexcept {
    const Path available(group, "/cgroup.controllers");
    const Path target(group, "/cgroup.subtree_control");
    Text<512> text;
    if (const int error = read_text(available.c_str(), text); error != 0) {
        log_error("read ", available.view(), ": ", Errno{error});
        return;
    }
    // One by one: a controller that refuses must not take the others with it.
    std::string_view rest = trimmed(text.view());
    while (const auto name = next_part(rest, ' ')) {
        if (name->empty())
            continue;
        const Text<64> request("+", *name);
        if (const int error = write_text(target.c_str(), request.view()); error != 0)
            log_warning("hand down cgroup controller ", *name, " in ", group, ": ", Errno{error});
    }
}

void make_group(const char* name) noexcept {
    const Path path(cgroup_root, "/", name);
    if (const int error = make_directory(path.c_str(), 0755); error != 0)
        log_error("make cgroup ", path.view(), ": ", Errno{error});
}

} // namespace

std::uint64_t protected_memory(std::uint64_t total_bytes) noexcept {
    constexpr std::uint64_t wanted = UINT64_C(192) * 1024 * 1024;
    return std::min(wanted, total_bytes / 4);
}

void set_up_cgroups() noexcept {
    if (!is_mount_point(cgroup_root))
        mount_planned(cgroup_mount);
    hand_down_controllers(cgroup_root);
    make_group("atoll.system");
    make_group("atoll.user");
    const Path system_group(cgroup_root, "/atoll.system");
    const Path user_group(cgroup_root, "/atoll.user");
    hand_down_controllers(system_group.c_str());
    hand_down_controllers(user_group.c_str());
    make_group("atoll.system/engined");
    make_group("atoll.system/monitors");

    struct sysinfo machine {};
    ::sysinfo(&machine);
    const Path setting(system_group.view(), "/memory.min");
    const Text<32> value(protected_memory(std::uint64_t{machine.totalram} * machine.mem_unit));
    if (const int error = write_text(setting.c_str(), value.view()); error != 0 && error != ENOENT)
        log_warning("write ", setting.view(), ": ", Errno{error});
}

} // namespace init
