// Lines for a terminal that may be slow or stopped.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace init {

/// Writes lines to a non-blocking descriptor through a buffer of fixed size. What does not fit is dropped as whole
/// lines, and the reader is told how many when there is room again. PID 1 never waits for a console.
class Console {
public:
    static constexpr std::size_t capacity = std::size_t{16} * 1024;

    /// -1: everything is discarded. The descriptor stays the caller's.
    void attach(int fd) noexcept { fd_ = fd; }
    int fd() const noexcept { return fd_; }
    /// `line` without its end.
    void write(std::string_view line) noexcept;
    /// Writes what the terminal takes. To be called when it is writable.
    void flush() noexcept;
    bool pending() const noexcept { return size_ > 0; }
    std::uint64_t dropped() const noexcept { return dropped_; }

private:
    bool append(std::string_view line) noexcept;

    int fd_ = -1;
    std::array<char, capacity> buffer_{};
    std::size_t size_ = 0;
    std::uint64_t dropped_ = 0;  ///< since boot
    std::uint64_t reported_ = 0; ///< of those, how many the reader was told of
};

} // namespace init
