// config.json of the OCI runtime specification 1.2 as types: read strictly, nothing of it acted upon.
#pragma once
#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/mount_options.hpp"

namespace engine::runtime {

/// One bit a capability, by its number in linux/capability.h.
struct CapabilitySets {
    std::uint64_t bounding = 0, effective = 0, inheritable = 0, permitted = 0, ambient = 0;
};

struct User {
    uid_t uid = 0;
    gid_t gid = 0;
    std::optional<mode_t> umask;
    std::vector<gid_t> additional_gids;
};

struct Rlimit {
    int resource = 0; ///< RLIMIT_*
    rlimit limit{};
};

/// process.scheduler, for sched_setattr(2).
struct Scheduler {
    std::uint32_t policy = 0; ///< SCHED_*
    std::int32_t nice = 0;
    std::uint32_t priority = 0;
    std::uint64_t flags = 0; ///< SCHED_FLAG_*
    std::uint64_t runtime = 0, deadline = 0, period = 0;
};

/// process.execCPUAffinity: one bit a CPU; empty: not given.
struct CpuAffinity {
    std::vector<bool> initial, final;
};

struct Process {
    bool terminal = false;
    unsigned short console_rows = 0, console_columns = 0; ///< 0: not given
    User user;
    std::vector<std::string> args, env;
    std::string cwd = "/";
    std::optional<CapabilitySets> capabilities; ///< none given: none held
    std::vector<Rlimit> rlimits;
    bool no_new_privileges = false;
    std::optional<int> oom_score_adj;
    std::optional<Scheduler> scheduler;
    std::optional<int> io_priority;    ///< class and priority as ioprio_set(2) takes them
    CpuAffinity exec_affinity;         ///< of processes that join, not of the container's first
    std::vector<std::string> warnings; ///< what is wrong and, by the specification, no reason to refuse
    std::string apparmor_profile;
};

struct Root {
    std::string path; ///< absolute
    bool readonly = false;
};

struct IdMapping {
    std::uint32_t container = 0, host = 0, size = 0;
    bool operator==(const IdMapping&) const = default;
};

struct Mount {
    std::string destination; ///< absolute, without "." and ".." components
    std::string type, source;
    MountOptions options;
    std::vector<IdMapping> uid_mappings, gid_mappings; ///< of an id-mapped mount; none: those of the user namespace
};

struct Hook {
    std::string path;
    std::vector<std::string> args, env;
    int timeout_seconds = 0; ///< 0: none
};

struct Hooks {
    std::vector<Hook> prestart, create_runtime, create_container, start_container, poststart, poststop;
};

/// What a clock of a new time namespace is ahead of the host's.
struct TimeOffset {
    std::string clock; ///< "monotonic" or "boottime", as /proc/PID/timens_offsets has them
    std::int64_t seconds = 0;
    std::uint32_t nanoseconds = 0;
};

struct Namespace {
    int flag = 0;     ///< CLONE_NEW*
    std::string path; ///< empty: a new one
};

struct Device {
    std::string path;
    mode_t mode = 0; ///< S_IFCHR, S_IFBLK or S_IFIFO, and permissions
    unsigned major = 0, minor = 0;
    uid_t uid = 0;
    gid_t gid = 0;
};

/// linux.resources.devices: the last rule that matches decides.
struct DeviceRule {
    bool allow = false;
    char type = 'a'; ///< 'a' all, 'b', 'c'
    std::optional<std::uint32_t> major, minor;
    unsigned access = 0; ///< BPF_DEVCG_ACC_*
};

/// A write into the container's cgroup, in order: {"memory.max", "1048576"}. The json path is for messages.
struct CgroupWrite {
    std::string file, value, json_path;
    bool optional = false; ///< a file that older kernels do not have, and that only completes another

    /// "memory" of "memory.max".
    std::string controller() const { return file.substr(0, file.find('.')); }
    /// A value that limits nothing: without the controller there is no limit either.
    bool is_no_limit() const {
        const bool default_shares = file == "cpu.weight" && value == "39"; // of 1024: everybody's equal part
        const bool no_quota = file == "cpu.max" && (value.starts_with("max") || value.starts_with(' '));
        return value == "max" || no_quota || default_shares;
    }
};

struct Resources {
    std::vector<DeviceRule> devices;
    bool has_device_rules = false;
    std::vector<CgroupWrite> writes;
    /// memory.checkBeforeUpdate: the new limit, which an update must not set below what is used.
    std::optional<std::uint64_t> memory_below_use;
};

struct SeccompArgument {
    unsigned index = 0;
    std::uint64_t value = 0, value_two = 0;
    int comparison = 0; ///< enum scmp_compare
};

struct SeccompRule {
    std::vector<std::string> names;
    std::uint32_t action = 0; ///< SCMP_ACT_*
    std::vector<SeccompArgument> arguments;
};

struct SeccompProfile {
    std::uint32_t default_action = 0;
    std::vector<std::uint32_t> architectures; ///< SCMP_ARCH_*
    unsigned load_flags = 0;                  ///< SECCOMP_FILTER_FLAG_*
    std::vector<SeccompRule> rules;
    std::string text;          ///< the profile as JSON, of which the filter cache takes the digest
    bool notifies = false;     ///< SCMP_ACT_NOTIFY is among the actions
    std::string listener_path; ///< of the socket that takes the listener; given when `notifies`
    std::string listener_metadata;
};

struct Linux {
    std::vector<Namespace> namespaces;
    std::vector<IdMapping> uid_mappings, gid_mappings;
    std::vector<TimeOffset> time_offsets;
    std::vector<Device> devices;
    std::string cgroups_path;
    std::string systemd_path; ///< instead: "SLICE:PREFIX:NAME"
    Resources resources;
    std::optional<SeccompProfile> seccomp;
    std::vector<std::string> masked_paths, readonly_paths;
    std::vector<std::pair<std::string, std::string>> sysctl;
    std::uint64_t rootfs_propagation = 0; ///< MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE; 0: not given
    std::optional<unsigned long> personality;

    const Namespace* find(int flag) const noexcept {
        for (const Namespace& entry : namespaces)
            if (entry.flag == flag)
                return &entry;
        return nullptr;
    }
};

struct Config {
    std::string oci_version, hostname, domainname;
    std::optional<Process> process;
    Root root;
    std::vector<Mount> mounts;
    Hooks hooks;
    std::map<std::string, std::string> annotations;
    Linux linux_part;
};

/// Reads config.json's text. `bundle` (absolute) is what root.path is relative to. Throws base::Error
/// "NAME: json.path: problem". Properties the specification does not know are ignored, as it demands; those it knows
/// and we do not support are refused.
Config parse_config(std::string_view text, const std::string& name, const std::string& bundle);

/// The document of `exec --process`.
Process parse_process(std::string_view text, const std::string& name);

/// A document of `update --resources`: linux.resources alone.
Resources parse_resources(std::string_view text, const std::string& name);

} // namespace engine::runtime
