// Times as the API writes and reads them.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "engine/container.hpp"

namespace engine::api {

/// "2026-11-21T11:30:00.123456789Z"
std::string rfc3339(TimePoint time);
/// As `rfc3339`; docker's zero time "0001-01-01T00:00:00Z" without a value.
std::string rfc3339(const std::optional<TimePoint>& time);
/// RFC 3339 with a zone. nullopt for other text.
std::optional<TimePoint> parse_rfc3339(std::string_view text);
/// A `since` or `until`: seconds since 1970 ("1700000000", "1700000000.5"), or RFC 3339. nullopt for "" and "0";
/// throws HttpError 400 naming `what` for other text.
std::optional<TimePoint> parse_timestamp(std::string_view text, const std::string& what);
std::int64_t unix_seconds(TimePoint time);
std::int64_t unix_nanoseconds(TimePoint time);
/// "Up 5 minutes", "Exited (0) 2 hours ago": the status column of docker ps.
std::string status_text(const ContainerState& state, TimePoint now);

} // namespace engine::api
