// What a container is: its configuration (fixed when it is created, saved with it) and its state (a snapshot).
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "engine/network.hpp"

namespace engine {

using TimePoint = std::chrono::system_clock::time_point;

/// A file system put into the container, besides those every container has (proc, sys, dev, shm, mqueue, cgroup).
struct ContainerMount {
    enum class Type { bind, volume, tmpfs };
    Type type = Type::bind;
    std::string source;      ///< path on the host (bind, volume); must exist; empty for tmpfs
    std::string volume_name; ///< the volume's name, for display only: `source` is its directory already
    std::string target;      ///< absolute path in the container; made when missing
    bool read_only = false;
    std::string propagation; ///< empty: rprivate
    /// Further mount options as the OCI runtime takes them ("rbind", "noexec", "size=64m", "mode=1777"). A bind is
    /// recursive unless "bind" is among them.
    std::vector<std::string> options;
    bool operator==(const ContainerMount&) const = default;
};

struct Device {
    std::string host_path;
    std::string container_path;
    std::string permissions = "rwm";
    bool operator==(const Device&) const = default;
};

struct Ulimit {
    std::string name; ///< "nofile"
    std::int64_t soft = 0;
    std::int64_t hard = 0;
    bool operator==(const Ulimit&) const = default;
};

struct RestartPolicy {
    enum class Kind { no, on_failure, always, unless_stopped };
    Kind kind = Kind::no;
    unsigned maximum_retries = 0; ///< of on_failure; 0: no limit
    bool operator==(const RestartPolicy&) const = default;
};
/// "no", "on-failure", "always", "unless-stopped".
const char* to_string(RestartPolicy::Kind kind) noexcept;
/// nullopt for any other text; "" is `no`.
std::optional<RestartPolicy::Kind> parse_restart_policy(const std::string& text);

/// 0 (or empty) is "no limit" in each, as in Docker's HostConfig.
struct Resources {
    std::int64_t memory = 0;             ///< bytes
    std::int64_t memory_swap = 0;        ///< bytes of memory and swap together; -1: unlimited swap
    std::int64_t memory_reservation = 0; ///< bytes (memory.low)
    std::int64_t memory_min = 0;         ///< bytes (memory.min); system containers only
    std::int64_t nano_cpus = 0;          ///< 1'000'000'000 is one CPU; excludes cpu_quota
    std::int64_t cpu_shares = 0;
    std::int64_t cpu_quota = 0; ///< microseconds per cpu_period
    std::int64_t cpu_period = 0;
    std::string cpuset_cpus;
    std::string cpuset_mems;
    std::int64_t pids_limit = 0; ///< -1 is "no limit" too
    bool operator==(const Resources&) const = default;
};

struct HealthConfig {
    enum class Kind { none, command, shell };
    Kind kind = Kind::none;
    std::vector<std::string> command; ///< argv, or for `shell` one text for /bin/sh -c
    std::chrono::milliseconds interval{30'000};
    std::chrono::milliseconds timeout{30'000};
    std::chrono::milliseconds start_period{0};
    unsigned retries = 3;
    bool operator==(const HealthConfig&) const = default;
};

struct LogConfig {
    enum class Driver { json_file, none };
    Driver driver = Driver::json_file;
    std::uint64_t maximum_size = 16 * 1024 * 1024; ///< bytes of one file; a log never fills the disk by default
    unsigned maximum_files = 2;                    ///< with the current one
    bool operator==(const LogConfig&) const = default;
};

struct ContainerConfig {
    std::string image;    ///< as it was asked for ("busybox:1"); empty for host-rootfs services
    std::string image_id; ///< "sha256:..."; filled in by Engine::create
    /// Resolved: Engine::create fills what is empty from the image's configuration. argv is entrypoint, then command.
    std::vector<std::string> entrypoint;
    std::vector<std::string> command;
    std::vector<std::string> env; ///< NAME=value; those of the image are put before, unless named here
    std::string working_directory;
    std::string user; ///< "", "name", "uid", "name:group", "uid:gid"
    std::vector<std::string> additional_groups;
    std::string hostname; ///< empty: the first 12 digits of the id (the host's with network_mode host)
    std::string domainname;
    std::map<std::string, std::string> labels; ///< "atoll.system" is refused unless the caller may change system ones
    bool tty = false;
    bool open_stdin = false;
    bool stdin_once = false; ///< standard input closes when the first attached client goes

    std::vector<ContainerMount> mounts;
    std::vector<std::string> image_volumes; ///< targets the image declares; the API turns them into mounts
    std::string network_mode = "bridge";    ///< "bridge", "none", "host", "container:<id>" or a network's name
    std::vector<PublishedPort> ports;
    std::optional<std::string> address; ///< a fixed one, and the MAC address
    std::optional<std::string> mac;
    std::vector<std::string> dns; ///< empty: the host's
    std::vector<std::string> dns_search;
    std::vector<std::string> dns_options;
    std::vector<std::string> extra_hosts; ///< "name:address"

    RestartPolicy restart;
    bool auto_remove = false;

    std::vector<std::string> cap_add; ///< "NET_ADMIN" or "CAP_NET_ADMIN", "ALL"
    std::vector<std::string> cap_drop;
    bool privileged = false;
    bool no_new_privileges = false;
    std::string seccomp; ///< "" the default profile, "unconfined", or a profile's JSON text
    std::optional<std::vector<std::string>> masked_paths; ///< nullopt: the default list
    std::optional<std::vector<std::string>> readonly_paths;
    bool read_only_rootfs = false;
    bool init = false;       ///< refused for now: there is no init program to put in
    std::string pid_mode;    ///< "" own, "host", "container:<id>"
    std::string ipc_mode;    ///< "" or "private" own, "host"
    std::string uts_mode;    ///< "" own, "host"
    std::string cgroup_mode; ///< "" or "private" own, "host"
    std::vector<Device> devices;
    std::vector<Ulimit> ulimits;
    std::map<std::string, std::string> sysctls;
    std::int64_t shm_size = 64 * 1024 * 1024;
    std::int64_t oom_score_adj = 0;
    Resources resources;

    std::string stop_signal;         ///< "SIGTERM", "15"; empty: the image's, then SIGTERM
    std::optional<int> stop_timeout; ///< seconds; nullopt: 10
    HealthConfig health;
    LogConfig log;

    /// The service this container runs; empty for users' containers. Such a container is a *system container*.
    std::string system_service;
    bool host_rootfs = false;       ///< the root is the host's `/`, read-only (system containers only)
    bool only_capabilities = false; ///< cap_add is the whole set (system containers)

    /// Opaque text of the API (what inspect must give back as it came in); saved with the container.
    std::string api_data;
    bool operator==(const ContainerConfig&) const = default;
};

/// created -> running <-> paused; running -> exited (-> restarting -> running); any -> removing.
enum class Status { created, running, paused, restarting, exited, dead, removing };
const char* to_string(Status status) noexcept; ///< Docker's words: "created", "running", ...

enum class Health { none, starting, healthy, unhealthy };
const char* to_string(Health health) noexcept;

struct HealthCheckResult {
    TimePoint start;
    TimePoint end;
    int exit_code = 0;  ///< -1: timed out or could not be run
    std::string output; ///< the first 4 KiB
};

struct ContainerState {
    Status status = Status::created;
    pid_t pid = 0; ///< on the host; 0 when not running
    int exit_code = 0;
    bool oom_killed = false;
    std::string error; ///< why the last start failed, or how it ended when not by itself
    std::optional<TimePoint> started;
    std::optional<TimePoint> finished;
    unsigned restart_count = 0; ///< by the restart policy, since the last start by hand
    Health health = Health::none;
    unsigned failing_streak = 0;
    std::vector<HealthCheckResult> health_log; ///< the last five
    bool running() const noexcept { return status == Status::running || status == Status::paused; }
};

/// A consistent snapshot of one container.
struct ContainerInfo {
    std::string id;   ///< 64 hexadecimal digits
    std::string name; ///< without a slash
    TimePoint created;
    std::shared_ptr<const ContainerConfig> config;
    ContainerState state;
    std::vector<NetworkEndpoint> endpoints;     ///< while running
    std::string directory;                      ///< its files: config.json, hosts, hostname, resolv.conf, upper/
    std::string log_path;                       ///< Docker's json-file format, see log_reader.hpp
    std::string cgroup;                         ///< directory in the cgroup file system while running, or empty
    std::vector<std::string> lower_directories; ///< of the image, topmost first
    bool system() const noexcept { return !config->system_service.empty(); }
};

} // namespace engine
