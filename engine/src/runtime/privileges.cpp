#include "runtime/privileges.hpp"

#include <linux/capability.h>
#include <linux/mount.h>
#include <sched.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/files.hpp"

namespace engine::runtime {

bool is_host_root() {
    if (geteuid() != 0)
        return false;
    // Only the first namespace maps every id onto itself: "0 0 4294967295".
    const std::optional<std::string> map = base::read_file_if_exists("/proc/self/uid_map");
    return !map || map->find("4294967295") != std::string::npos;
}

bool cannot_make_devices(const Config& config) {
    if (config.linux_part.find(CLONE_NEWUSER) != nullptr)
        return true;
    const bool capable = config.process && config.process->capabilities &&
                         (config.process->capabilities->bounding >> CAP_MKNOD & 1U) != 0;
    return !capable || (geteuid() == 0 && !is_host_root());
}

bool maps_only_caller(const Linux& linux_part) {
    const auto only = [](const std::vector<IdMapping>& mappings, std::uint32_t id) {
        return mappings.size() == 1 && mappings.front().host == id && mappings.front().size == 1;
    };
    return geteuid() != 0 && only(linux_part.uid_mappings, geteuid()) && only(linux_part.gid_mappings, getegid());
}

bool groups_are_denied(pid_t pid) {
    const std::string process = pid == 0 ? "self" : std::to_string(pid);
    const auto text = base::read_file_if_exists("/proc/" + process + "/setgroups");
    return text && text->starts_with("deny");
}

void refuse_limits(const Config& config, const std::string& reason) {
    const Resources& resources = config.linux_part.resources;
    for (const CgroupWrite& entry : resources.writes)
        if (!entry.is_no_limit())
            throw base::Error(entry.json_path + ": cgroup controller \"" + entry.controller() +
                              "\" is not available: " + reason);
    if (resources.has_device_rules && !cannot_make_devices(config))
        throw base::Error("linux.resources.devices: there is no cgroup to hold the rules (" + reason +
                          "); give the container a user namespace, or take CAP_MKNOD away");
}

std::optional<uid_t> cgroup_owner(const Config& config) {
    const Namespace* const cgroup = config.linux_part.find(CLONE_NEWCGROUP);
    if (!config.process || cgroup == nullptr || !cgroup->path.empty())
        return std::nullopt;
    bool writable = false;
    for (const Mount& mount : config.mounts)
        if (mount.type == "cgroup" || mount.type == "cgroup2")
            writable |= ((mount.options.set | mount.options.recursive_set) & MOUNT_ATTR_RDONLY) == 0;
    if (!writable)
        return std::nullopt;
    const uid_t uid = config.process->user.uid;
    const Namespace* const user = config.linux_part.find(CLONE_NEWUSER);
    if (user == nullptr)
        return uid == 0 ? std::nullopt : std::optional<uid_t>(uid);
    for (const IdMapping& mapping : config.linux_part.uid_mappings)
        if (uid >= mapping.container && uid - mapping.container < mapping.size)
            return mapping.host + (uid - mapping.container);
    return std::nullopt; // of a namespace that is joined the mappings are not known here
}

} // namespace engine::runtime
