// How a container ended: a small file in its run directory, written by the monitor, read and removed by engined.
// "NAME=value" lines; unknown names are ignored, so that a later release can add some.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace engine::monitor {

struct ExitRecord {
    bool failed = false; ///< the runtime could not create or start it; `error` says why
    int code = 0;
    int signal = 0;
    std::int64_t started_nsec = 0;
    std::int64_t finished_nsec = 0;
    std::string error; ///< one line
};

std::string format_exit_record(const ExitRecord& record);
/// nullopt when `text` is not a whole record (its last line is "end").
std::optional<ExitRecord> parse_exit_record(std::string_view text);

/// Temporary name, fsync, rename, in the directory `dirfd`. Returns 0 or an errno value.
int write_exit_record(int dirfd, const char* name, const ExitRecord& record) noexcept;

} // namespace engine::monitor
