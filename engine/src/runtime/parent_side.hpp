// The parent's half of the protocol in stages.hpp, and what only the parent may do to its child.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"
#include "runtime/plan.hpp"
#include "runtime/stages.hpp"
#include "runtime/state.hpp"

namespace engine::runtime {

/// Both ends of the SEQPACKET channel. The parent's end is closed with the owner, which ends a child that waits.
struct Channel {
    Channel();
    base::UniqueFd parent, child;
};

std::pair<base::UniqueFd, base::UniqueFd> socket_pair(int type);
base::UniqueFd memory_file(const char* name);
/// A listening stream socket NAME in `directory`, however long its path is.
base::UniqueFd listen_at(const std::string& directory, const char* name);

void send_go(int channel);
/// The next message; throws when the child has died without one, saying how.
Message receive(int channel, pid_t child);
/// The terminal's master that a child sends to a console socket.
base::UniqueFd receive_terminal(int socket);

/// Children made in its scope are in the pid namespace `fd` (of the namespace or a pidfd; -1: nothing happens). errno
/// outlives it.
class PidNamespaceGuard {
public:
    explicit PidNamespaceGuard(int fd);
    ~PidNamespaceGuard();
    PidNamespaceGuard(const PidNamespaceGuard&) = delete;
    PidNamespaceGuard& operator=(const PidNamespaceGuard&) = delete;

private:
    base::UniqueFd own_;
};
/// Of the pid namespace that the plan joins by path, or -1.
int find_pid_namespace(const ContainerPlan& plan);
void log_warnings(const ProcessPlan& plan);
/// The pid of our child in its own pid namespace.
pid_t pid_inside(pid_t pid, const ContainerPlan& plan);
/// Of `flags`, those namespaces in which process and runtime are the same: they cannot be, and need not be, joined.
int same_namespaces(pid_t pid, int flags);
/// The container's cgroup, or the one its first process has moved to below it (a group that has controllers enabled
/// for groups below takes no processes). Throws when the process has left it.
std::string process_cgroup(const ContainerState& state);
/// Why clone3(2) failed with `error`; `cgroup` is where the process was to be, empty when it was to stay in ours.
base::Error clone_failure(int error, const std::string& cgroup);

void write_file(const std::string& path, const std::string& text, const char* json_path);
/// Of a new user namespace's first process. One that is not root writes its own ids itself; more take newuidmap(1).
void write_id_mappings(pid_t pid, const Linux& linux_part);
/// Throws when groups are asked for that cannot be set.
void check_groups(const ProcessPlan& process);
void set_rlimits(pid_t pid, const std::vector<Rlimit>& limits);

} // namespace engine::runtime
