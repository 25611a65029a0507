// The log of a container: Docker's json-file format, one object a line:
//   {"log":"text\n","stream":"stdout","time":"2026-11-21T10:00:00.123456789Z"}
// A line of the container longer than 16 KiB is split (the parts have no line break at their end but the last).
// Rotation: PATH becomes PATH.1, PATH.1 becomes PATH.2, the oldest goes.
//
// An error (no space) loses text but never stops the container; it is counted and told once.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"

namespace engine::monitor {

/// Appends `text` as the inside of a JSON string; bytes that are not UTF-8 become U+FFFD.
void append_json_text(std::string& out, std::string_view text);

/// "2026-11-21T10:00:00.123456789Z"
std::string format_time(std::int64_t nsec_since_epoch);

class LogFile {
public:
    static constexpr std::size_t maximum_line = 16 * 1024;

    /// No path: everything is dropped. `maximum_size` 0: no rotation.
    LogFile(std::string path, std::uint64_t maximum_size, unsigned maximum_files);

    /// Opens (creating or appending). Returns 0 or an errno value.
    int open() noexcept;

    enum class Stream { out = 0, error = 1 };
    /// Takes output as it comes; whole lines are written at once, the rest waits for its line break.
    void append(Stream stream, std::string_view data, std::int64_t now_nsec);
    /// Writes what has no line break yet.
    void finish(std::int64_t now_nsec);

    std::uint64_t lost() const noexcept { return lost_; }

private:
    void add_entry(Stream stream, std::string_view text, std::int64_t now_nsec);
    void flush();
    void rotate();

    std::string path_;
    std::uint64_t maximum_size_;
    unsigned maximum_files_;
    base::UniqueFd fd_;
    std::uint64_t size_ = 0;
    std::string partial_[2];
    std::string pending_; ///< formatted, not yet written
    bool torn_ = false;   ///< the last write ended inside a line
    std::uint64_t lost_ = 0;
};

} // namespace engine::monitor
