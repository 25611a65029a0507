// A container's cgroup as a scope of systemd's: asked for by the program ocirun-systemd.
#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

#include "runtime/cgroup.hpp"
#include "runtime/config.hpp"

namespace engine::runtime {

struct SystemdScope {
    std::string unit;  ///< "libpod-4f2a.scope"
    std::string slice; ///< "machine.slice"
};

/// Whether ocirun-systemd is there.
bool has_systemd_program();

/// Of linux.cgroupsPath, "SLICE:PREFIX:NAME"; when that is not given a scope "ocirun-ID.scope" in the system's or the
/// user's slice. Throws base::Error.
SystemdScope systemd_scope(const Linux& linux_part, const std::string& id);

/// Makes the scope with the process in it; returns the cgroup. Throws base::Error.
std::string start_scope(const SystemdScope& scope, pid_t pid, const std::vector<CgroupWrite>& limits);
/// Moves a process of ours into the group `below` ("/init", or empty) of the scope: for callers who may not themselves.
void join_scope(const std::string& unit, const std::string& below, pid_t pid);
/// Tells systemd of other limits, which `group` has already.
void change_scope(const std::string& unit, const Cgroup& group, const std::vector<CgroupWrite>& limits);
/// Returns when systemd has forgotten the unit, whose processes have ended; its group is gone then.
void stop_scope(const std::string& unit);

} // namespace engine::runtime
