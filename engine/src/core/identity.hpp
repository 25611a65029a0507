// Ids, names and signal names.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace engine {

/// 64 random hexadecimal digits, never digits only in the first twelve (a short id that is a number confuses
/// hostnames).
std::string random_id();

/// Docker's rule: [a-zA-Z0-9][a-zA-Z0-9_.-]+
bool valid_container_name(std::string_view name) noexcept;

/// "SIGTERM", "TERM", "term", "15", "RTMIN+3". nullopt for anything else.
std::optional<int> parse_signal(std::string_view text) noexcept;

/// System containers are named so; users' may not be.
inline constexpr std::string_view system_name_prefix = "atoll.";
inline constexpr const char* system_label = "atoll.system";

} // namespace engine
