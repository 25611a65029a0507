// Where the engine's cgroups are (cgroup v2), and what is read and written there besides the runtime's limits.
#pragma once
#include <optional>
#include <string>

#include "base/unique_fd.hpp"

namespace engine {

class Cgroups {
public:
    /// `parent`: below the cgroup2 mount, put before "/atoll.system" and "/atoll.user"; "none": no cgroups at all.
    explicit Cgroups(const std::string& parent);

    bool enabled() const noexcept { return !mount_.empty(); }
    /// For the runtime's cgroupsPath: "/atoll.system/<service>" or "/atoll.user/<id>". Empty without cgroups.
    std::string container_path(const std::string& service, const std::string& id) const;
    /// The directory of such a path.
    std::string directory(const std::string& path) const;
    /// The directory that monitors are started in, made when missing; none without cgroups.
    base::UniqueFd monitors() const;

private:
    std::string mount_, parent_;
};

/// The cgroup2 mount of this process's namespace, by /proc/self/mountinfo's text. nullopt when there is none.
std::optional<std::string> find_cgroup2_mount(const std::string& mountinfo);

/// Freezes or thaws, waiting until it is done. Throws base::Error.
void set_frozen(const std::string& directory, bool frozen);
/// Kills everything in it. No error when it is not there.
void kill_cgroup(const std::string& directory);
/// Times the kernel killed a process of it for memory.
std::uint64_t oom_kills(const std::string& directory);

} // namespace engine
