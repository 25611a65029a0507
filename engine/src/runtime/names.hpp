// Names of the specification and their numbers: capabilities, resource limits, signals, namespaces.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engine::runtime {

/// "CAP_NET_ADMIN" -> 12.
std::optional<unsigned> capability_number(std::string_view name);
/// The highest capability the running kernel knows (/proc/sys/kernel/cap_last_cap); higher ones are no error to drop.
unsigned last_kernel_capability();

/// What the calling process may use or give away, one bit a capability.
std::uint64_t permitted_capabilities();

/// "RLIMIT_NOFILE" -> RLIMIT_NOFILE.
std::optional<int> rlimit_number(std::string_view name);

/// "KILL", "SIGKILL", "kill", "9", "RTMIN+3".
std::optional<int> signal_number(std::string_view name);

/// "pid" -> CLONE_NEWPID.
std::optional<int> namespace_flag(std::string_view type);
/// CLONE_NEWPID -> "pid"; and the file in /proc/PID/ns.
std::string_view namespace_type(int flag);
std::string_view namespace_file(int flag);
std::vector<std::string> namespace_types();

} // namespace engine::runtime
