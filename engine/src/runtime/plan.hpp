// Everything a container's first process needs between clone(2) and execve(2), prepared: the child neither allocates
// nor throws nor logs, it walks a table of stages over this (stages.hpp).
#pragma once
#include <linux/filter.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"
#include "runtime/config.hpp"
#include "runtime/seccomp.hpp"

namespace engine::runtime {

/// A null-terminated array for execve(2).
class CStringArray {
public:
    CStringArray() : pointers_{nullptr} {}
    explicit CStringArray(std::vector<std::string> texts);
    CStringArray(CStringArray&&) = default;
    CStringArray& operator=(CStringArray&&) = default;
    CStringArray(const CStringArray&) = delete;
    CStringArray& operator=(const CStringArray&) = delete;
    char* const* data() const noexcept { return pointers_.data(); }
    std::size_t size() const noexcept { return pointers_.size() - 1; }

private:
    std::vector<std::string> texts_; // moving the vector leaves the strings where they are
    std::vector<char*> pointers_;
};

struct PlannedHook {
    std::string path;
    CStringArray argv, env;
    int timeout_seconds = 0;
};

/// What becomes of the process itself: the same for a container's first process and for one that joins.
struct ProcessPlan {
    CStringArray argv;
    CStringArray env;        ///< without HOME when `find_home`
    bool find_home = false;  ///< HOME is not given: the one of /etc/passwd in the container is used
    std::string search_path; ///< PATH of env
    std::string cwd;
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
    bool keep_groups = false; ///< setgroups(2) is denied in the user namespace: the caller's groups stay
    mode_t umask = 0022;
    CapabilitySets capabilities;
    unsigned last_capability = 0;
    std::vector<std::string> warnings; ///< to be logged
    std::vector<Rlimit> rlimits;
    bool no_new_privileges = false;
    SeccompFilter seccomp;        ///< empty: none
    std::string seccomp_listener; ///< path of the socket that takes the listener; empty: SCMP_ACT_NOTIFY is not used
    std::string apparmor;         ///< empty: none
    bool terminal = false;
    winsize size{};
    std::string keyring; ///< name of the session keyring; empty: the caller's is kept
    unsigned long personality = 0;
    bool set_personality = false;
    unsigned preserve_fds = 0; ///< so many from 3 on stay open
    /// process.scheduler is set right before exec: what comes before is not to inherit it, nor may a SCHED_DEADLINE
    /// fork.
    bool schedule_late = false;
};

struct PlannedMount {
    enum class Kind { file_system, bind, remount };
    Kind kind = Kind::file_system;
    std::string destination, source, type;
    std::vector<std::pair<std::string, std::string>> data; ///< for fsconfig(2); an empty value is a flag
    std::string joined_data; ///< the same for mount(2), when a value is too long for fsconfig(2)
    std::uint64_t set = 0, clear = 0, recursive_set = 0, recursive_clear = 0;
    std::uint64_t propagation = 0;
    bool propagation_recursive = false;
    bool recursive = false;     ///< of a bind mount
    bool own_cgroup = false;    ///< bind what the process' own cgroup is below `source`
    bool late_readonly = false; ///< made read-only when everything below it is mounted
    bool no_symlinks = false;   ///< proc and sysfs: a symlink in their path could put another tree in their place
    bool over_procfs = false;   ///< the destination may be in procfs
    bool copy_up = false;
    bool by_mount_call = false; ///< by mount(2): something that the mount API cannot take
    bool inode_versions = false;
    bool id_mapped = false, recursive_id_map = false;
    std::string uid_map, gid_map; ///< as /proc/PID/uid_map takes them; empty: those of the container
    base::UniqueFd id_map;        ///< a user namespace with the mapping, see id_mapped_mounts.hpp
    base::UniqueFd tree;          ///< of an id-mapped bind mount: made by the parent
};

struct PlannedDevice {
    std::string path;
    mode_t mode = 0;
    unsigned major = 0, minor = 0;
    uid_t uid = 0;
    gid_t gid = 0;
    bool bind = false;        ///< the host's node is bound: mknod(2) is not for user namespaces
    bool may_replace = false; ///< what the image has there goes: it is no device that was asked for by name
};

struct JoinedNamespace {
    int flag = 0;
    base::UniqueFd fd;
    std::string path; ///< for messages
};

struct ContainerPlan {
    ProcessPlan process;
    unsigned long clone_flags = 0;       ///< of the clone: user and pid namespaces
    unsigned long unshare_flags = 0;     ///< by the child, the others
    std::vector<JoinedNamespace> joined; ///< in the order of joining, user first; pid is joined by the parent
    /// The user namespace to join, when the pid namespace is to be made in it: then the process is made there.
    const JoinedNamespace* made_inside() const noexcept {
        const bool both = (clone_flags & CLONE_NEWPID) != 0 && !joined.empty() && joined.front().flag == CLONE_NEWUSER;
        return both ? &joined.front() : nullptr;
    }
    bool user_namespace = false;  ///< new or joined
    std::string uid_map, gid_map; ///< of a new user namespace
    std::string time_offsets;     ///< of a new time namespace, as /proc/PID/timens_offsets takes them
    bool bring_up_loopback = false;
    bool own_mounts = true; ///< a new mount namespace
    std::string rootfs;
    bool readonly_rootfs = false;
    std::uint64_t rootfs_propagation = 0;
    bool no_pivot = false;
    std::vector<PlannedMount> mounts;
    bool populate_dev = true; ///< /dev is the container's own
    std::vector<PlannedDevice> devices;
    std::vector<std::string> masked_paths, readonly_paths;
    std::vector<std::pair<std::string, std::string>> sysctl; ///< path below /proc/sys, value
    std::string hostname, domainname;
    std::vector<PlannedHook> create_container, start_container;
    bool await_parent = false; ///< the parent has to write id mappings before anything else
    bool await_hooks = false;  ///< the parent runs hooks before the root changes
};

struct PlanOptions {
    std::string id;
    std::string bundle;       ///< absolute
    std::string cgroup_path;  ///< absolute, in the host's mount: bound where a cgroup mount has no namespace
    std::string cgroup_mount; ///< instead, when the group is yet to be made by systemd: where cgroups are mounted
    std::string filter_cache; ///< directory
    bool no_pivot = false;
    bool new_keyring = true;
    unsigned preserve_fds = 0;
};

/// Opens namespaces to join, compiles the seccomp profile; changes nothing. Throws base::Error.
ContainerPlan make_plan(const Config& config, const PlanOptions& options);
ProcessPlan make_process_plan(const Process& process, const Linux& linux_part, const PlanOptions& options);
/// Lines as /proc/PID/uid_map takes them.
std::string mapping_text(const std::vector<IdMapping>& mappings);
std::vector<PlannedHook> plan_hooks(const std::vector<Hook>& hooks);

} // namespace engine::runtime
