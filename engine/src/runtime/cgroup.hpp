// A container's cgroup (version 2).
#pragma once
#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "runtime/config.hpp"

namespace engine::runtime {

enum class CgroupManager {
    cgroupfs, ///< the runtime makes the group
    systemd,  ///< systemd makes a scope; for that the program ocirun-systemd is run
    disabled, ///< the container stays in the caller's group: no limits
};

class Cgroup {
public:
    /// Where cgroup version 2 is mounted: /sys/fs/cgroup, or /sys/fs/cgroup/unified on a hybrid host, or as
    /// /proc/self/mountinfo says. Throws when it is nowhere.
    static std::string mount_point();
    /// Of `path` (from the mount's root) in the host's tree; nothing is looked up.
    static std::string absolute_path(const std::string& path) { return mount_point() + path; }

    /// Makes the group `path` ("/user/4f2a", from the mount's root) with every controller there is. A group that has
    /// processes is refused: its end would be theirs. What was made is removed when it fails.
    static Cgroup create(const std::string& path);
    /// An existing one; when there is none, every method finds nothing to do.
    /// Throws for the empty path: the container was made without a group.
    static Cgroup open(const std::string& path);
    /// The group that a process is in, from the mount's root.
    static std::string of_process(pid_t pid);

    /// Enables what the root has of controllers for the group, as far as its parents let us.
    void enable_controllers() const;
    /// Applies limits and the device rules. A limit whose controller is missing throws Error naming both.
    void apply(const Resources& resources) const;
    /// As `apply`, on a group that has limits already.
    void update(const Resources& resources) const;
    /// Gives the group to `owner` (a host uid) so far that it can make groups below it: the directory and the files
    /// that /sys/kernel/cgroup/delegate names (specification, "Cgroup ownership"). Limits stay ours.
    void hand_over(uid_t owner) const;

    const std::string& path() const noexcept { return path_; }
    /// Of the group's directory; -1 when there is no group.
    int fd() const noexcept { return directory_.get(); }

    std::string read(const char* file) const; ///< throws when there is no such file
    bool has_controller(std::string_view name) const;
    std::vector<pid_t> processes() const; ///< of the group and all below it
    bool populated() const;
    bool frozen() const;
    void freeze(bool freeze) const; ///< waits until it is done
    void kill() const;              ///< SIGKILL to all; does not wait
    /// Waits until no process is left; false after `timeout`.
    bool wait_until_empty(std::chrono::milliseconds timeout) const;
    /// Removes the group, those below it, and the parents that a `create` made when they are empty now. Throws when
    /// processes are left.
    void remove() const;

private:
    Cgroup(std::string path, std::string absolute) : path_(std::move(path)), absolute_(std::move(absolute)) {}
    void make_directories();
    void write_all(const std::vector<CgroupWrite>& writes) const;
    void write(const CgroupWrite& entry, const std::string& controllers) const;
    /// Waits until cgroup.events has `line` ("populated 0").
    bool wait_for_event(std::string_view line, std::chrono::milliseconds timeout) const;

    std::string path_, absolute_;
    base::UniqueFd directory_;
};

} // namespace engine::runtime
