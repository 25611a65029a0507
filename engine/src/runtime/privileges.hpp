// What the caller may do, and what a container can do without: for users who run containers of their own.
#pragma once
#include <sys/types.h>

#include <optional>
#include <string>

#include "runtime/config.hpp"

namespace engine::runtime {

/// User 0 of the first user namespace: nothing has to be done without.
bool is_host_root();

/// True when nothing in the container can make a device node: it has a user namespace (mknod(2) is refused in one), or
/// CAP_MKNOD is not in its bounding set. Then device rules, which need a cgroup and CAP_SYS_ADMIN, protect nothing
/// more: there are only the nodes that config.json itself put there.
bool cannot_make_devices(const Config& config);

/// The id mappings that a user can write without help: his own ids, one of each, and he is not root. The kernel then
/// takes setgroups(2) away from the namespace.
bool maps_only_caller(const Linux& linux_part);

/// True where setgroups(2) is denied in the user namespace of a process; 0: ours.
bool groups_are_denied(pid_t pid);

/// For a container that will have no cgroup: throws naming the first limit that was asked for.
void refuse_limits(const Config& config, const std::string& reason);

/// The host uid to which the container's cgroup is handed over: it has a cgroup namespace of its own and a writable
/// mount of it (specification, "Cgroup ownership"). nullopt: it stays ours.
std::optional<uid_t> cgroup_owner(const Config& config);

} // namespace engine::runtime
