// The cgroup tree (v2). PID 1 stays in the root group; see ARCHITECTURE.md, "cgroups".
#pragma once
#include <cstdint>

namespace init {

inline constexpr const char* cgroup_root = "/sys/fs/cgroup";
inline constexpr const char* engine_group = "/sys/fs/cgroup/atoll.system/engined";

/// Mounts cgroup2 and makes atoll.system (protected memory; engined, monitors) and atoll.user, with every controller
/// there is handed down to them. Failures are logged.
void set_up_cgroups() noexcept;

/// The memory.min of atoll.system: what the OS itself needs, never more than a quarter of the machine.
std::uint64_t protected_memory(std::uint64_t total_bytes) noexcept;

} // namespace init
