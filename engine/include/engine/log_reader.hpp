// Reads a container's log: files in Docker's json-file format, rotated by the monitor (PATH, PATH.1 is older, ...).
//
//   engine::LogReader reader(info.log_path, {.tail = 100, .follow = true});
//   while (auto entry = reader.next(200ms)) ...        // see `next` for the end
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/container.hpp"

namespace engine {

struct LogEntry {
    bool standard_error = false;
    std::string time; ///< RFC 3339 with nanoseconds, as in the file
    std::string text; ///< with its line break, when it had one; at most 16 KiB
};

/// One line of a log file. nullopt when it is not one (a torn line after a power cut).
std::optional<LogEntry> parse_log_line(std::string_view line);

struct LogReadOptions {
    std::optional<std::uint64_t> tail; ///< only the last N entries
    std::optional<TimePoint> since;
    std::optional<TimePoint> until;
    bool standard_output = true;
    bool standard_error = true;
    bool follow = false;
};

class LogReader {
public:
    LogReader(std::string path, LogReadOptions options);
    ~LogReader();
    LogReader(const LogReader&) = delete;
    LogReader& operator=(const LogReader&) = delete;

    /// The next entry. nullopt at the end of the log; with `follow`, when nothing came within `timeout` (ask again
    /// after looking whether the container still runs: read once more after it ended, then stop).
    std::optional<LogEntry> next(std::chrono::milliseconds timeout);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace engine
