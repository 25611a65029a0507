// Waiting for a descriptor, shared by the streams.
#pragma once
#include <chrono>
#include <optional>

namespace base::http {

/// A write that makes no progress for this long has lost its reader.
inline constexpr std::chrono::milliseconds write_timeout{60'000};

/// poll(2) for `events`; throws Error(ETIMEDOUT, operation).
void wait_ready(int fd, short events, std::optional<std::chrono::milliseconds> timeout, const char* operation);

} // namespace base::http
