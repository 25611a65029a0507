// Scheduling of a process that is set up and waits: policy, I/O priority, CPUs. Done by its parent, who has the
// privileges for it in the first user namespace; the child may be in another.
#pragma once
#include <sys/types.h>

#include "runtime/config.hpp"

namespace engine::runtime {

/// ioprio_set(2). Not out of linux/ioprio.h: from some 6.1 release on that is no C++ any more (a parameter named
/// `class`).
namespace io_priority {
inline constexpr std::uint32_t real_time = 1, best_effort = 2, idle = 3;
inline constexpr std::uint32_t class_shift = 13;
inline constexpr std::uint32_t levels = 8;
inline constexpr int who_process = 1;
} // namespace io_priority

/// process.scheduler and process.ioPriority. Throws base::Error naming the property.
void set_scheduling(pid_t pid, const Process& process);

/// process.execCPUAffinity.initial, of the calling process: what it clones inherits it.
void set_initial_affinity(const CpuAffinity& affinity);
/// process.execCPUAffinity.final, once `pid` is in the container's cgroup.
void set_final_affinity(pid_t pid, const CpuAffinity& affinity);

} // namespace engine::runtime
