// engined's health and logs over its root socket.
#pragma once
#include <string>
#include <vector>

#include "updater/judge.hpp"

namespace updater {

/// GET /atoll/v1/health. A failure is a report, not an exception. The raw answer is in `raw` when there is one.
HealthReport ask_health(const std::string& socket, std::string* raw = nullptr) noexcept;

/// The last log lines of a system service's container. Throws base::Error.
std::vector<std::string> service_log(const std::string& socket, const std::string& service, unsigned lines);

/// The same of any container, by name or id.
std::vector<std::string> container_log(const std::string& socket, const std::string& container, unsigned lines);

/// Takes Docker's log stream (8-byte header and data, again and again; plain text when the container has a terminal)
/// apart into lines.
std::vector<std::string> split_log_stream(std::string_view stream);

} // namespace updater
