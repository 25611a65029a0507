// Scheduling of a process that is set up and waits: policy, I/O priority, CPUs. Done by its parent, who has the
// privileges for it in the first user namespace; the child may be in another.
#pragma once
#include <sys/types.h>

#include "runtime/config.hpp"

namespace engine::runtime {

/// process.scheduler and process.ioPriority. Throws base::Error naming the property.
void set_scheduling(pid_t pid, const Process& process);

/// process.execCPUAffinity.initial, of the calling process: what it clones inherits it.
void set_initial_affinity(const CpuAffinity& affinity);
/// process.execCPUAffinity.final, once `pid` is in the container's cgroup.
void set_final_affinity(pid_t pid, const CpuAffinity& affinity);

} // namespace engine::runtime
