// init's log: one line goes to the ring (initctl log), to the kernel's log, and to the console unless the kernel
// prints it there itself. One log a process, as there is one PID 1. Nothing here waits, allocates or fails.
#pragma once
#include <string_view>

#include "clock.hpp"
#include "console.hpp"
#include "log_ring.hpp"
#include "text.hpp"

namespace init {

/// syslog(3)
enum class Level : int { error = 3, warning = 4, notice = 5, info = 6, debug = 7 };

class Log {
public:
    /// Opens /dev/kmsg and /dev/console when they are there. Again after the root has changed.
    void open() noexcept;
    /// Only the ring is written from now on.
    void close() noexcept;
    void write(Level level, std::string_view text) noexcept;
    /// A line of another program. The ring takes all of them, kernel log and console a limited number a second.
    void forward(Level level, std::string_view text) noexcept;

    const LogRing& ring() const noexcept { return ring_; }
    Console& console() noexcept { return console_; }

private:
    void emit(Level level, std::string_view text) noexcept;
    bool take_token() noexcept;

    LogRing ring_;
    Console console_;
    int kmsg_ = -1;
    int console_fd_ = -1;
    int kernel_prints_ = 0; ///< levels below this the kernel puts on the console itself
    Msec refilled_ = 0;
    std::uint32_t tokens_ = 0;
    std::uint64_t suppressed_ = 0;
};

Log& log() noexcept;

/// "<level>init: parts..."
template <typename... Parts>
void log_at(Level level, const Parts&... parts) noexcept {
    const Text<LogRing::max_text> line("init: ", parts...);
    log().write(level, line.view());
}
template <typename... Parts>
void log_error(const Parts&... parts) noexcept {
    log_at(Level::error, parts...);
}
template <typename... Parts>
void log_warning(const Parts&... parts) noexcept {
    log_at(Level::warning, parts...);
}
template <typename... Parts>
void log_notice(const Parts&... parts) noexcept {
    log_at(Level::notice, parts...);
}
template <typename... Parts>
void log_info(const Parts&... parts) noexcept {
    log_at(Level::info, parts...);
}

/// What another program wrote: control characters become '?', and a "<N>" in front is taken as its level.
Level sanitize_line(std::string_view line, TextBuffer& text) noexcept;

} // namespace init
