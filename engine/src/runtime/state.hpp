// What the runtime remembers of a container: ROOT/ID/ with
//   state.json    this struct, replaced whole
//   config.json   the configuration it was created with (the bundle may change)
//   start         the socket its first process waits on; there as long as the container is only created
// ROOT is on a tmpfs (/run): processes and cgroups do not survive a reboot, so their state need not.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace engine::runtime {

enum class Status { creating, created, running, paused, stopped };
const char* to_string(Status status) noexcept;

struct ContainerState {
    std::string id;
    std::string oci_version;
    std::string bundle, rootfs;
    std::string created;          ///< RFC 3339
    pid_t pid = 0;                ///< 0: not yet
    std::uint64_t start_time = 0; ///< of the process, in clock ticks since boot: tells it from one with its pid later
    std::string cgroup;           ///< from the mount's root; empty: none
    std::string scope;            ///< systemd's unit that the cgroup is; empty: the cgroup is ours
    int namespaces = 0;           ///< CLONE_NEW* that it has of its own or joined
    bool late_hooks = true;       ///< poststart or poststop: without any, the configuration need not be read for them
    /// There is something of the configuration's to do at `start`: a poststart hook, an agent, a late schedule.
    bool start_reads_config = true;
    std::vector<std::pair<std::string, std::string>> annotations;
};

/// There is no container of that id.
class NoSuchContainer : public base::Error {
public:
    explicit NoSuchContainer(const std::string& id) : base::Error("container \"" + id + "\" does not exist") {}
};

/// Of /proc/PID/stat; nullopt when there is no such process, or only what a parent has yet to reap.
std::optional<std::uint64_t> process_start_time(pid_t pid);

/// Letters, digits and "_+-." and not beginning with a dot. Throws base::Error.
void check_id(const std::string& id);

/// A file that readers see whole or not, without fsync.
void replace_file(const std::string& path, std::string_view content, mode_t mode);

class StateStore {
public:
    /// Makes the directory when it is missing.
    explicit StateStore(std::string root);

    std::string directory(const std::string& id) const { return root_ + "/" + id; }
    std::string config_path(const std::string& id) const { return directory(id) + "/config.json"; }
    std::string start_socket(const std::string& id) const { return directory(id) + "/start"; }
    std::string filter_cache() const { return root_ + "/.filters"; }

    /// Makes the directory of a new container and locks it. Throws when the id is taken.
    base::UniqueFd claim(const std::string& id) const;
    /// The lock of an existing one: start and delete exclude each other and create. Waits up to ten seconds.
    base::UniqueFd lock(const std::string& id) const;

    void save(const ContainerState& state) const;
    ContainerState load(const std::string& id) const; ///< throws "container ID does not exist"
    Status status(const ContainerState& state) const;
    void remove(const std::string& id) const;
    std::vector<std::string> ids() const;

private:
    std::string root_;
};

/// The document of `state` and of hooks' input (specification, "State").
std::string state_document(const ContainerState& state, Status status, bool pretty);

} // namespace engine::runtime
