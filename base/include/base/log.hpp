// Log lines on standard error, one per event: "<6>engined: container started id=4f2a".
#pragma once
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace base {

/// syslog(3) levels; the number goes in front of the line ("<N>", as in sd-daemon(3) and kmsg) when standard error
/// is not a terminal.
enum class LogLevel { error = 3, warning = 4, notice = 5, info = 6, debug = 7 };

/// Set once in main: the program's name and what is printed (default: info).
void log_init(std::string_view program, LogLevel threshold = LogLevel::info);

/// Takes the lines, whole and unescaped, instead of standard error: for a program whose standard error is somebody
/// else's. It must not throw.
using LogSink = void (*)(LogLevel level, std::string_view message) noexcept;
void log_to(LogSink sink) noexcept;

/// Writes one line with one write(2), so that lines of several threads do not mix. Never throws. Line breaks and
/// control characters in `message` are escaped: log text is often somebody else's.
void log_write(LogLevel level, std::string_view message) noexcept;

template <typename... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
    log_write(LogLevel::error, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
    log_write(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_notice(fmt::format_string<Args...> format, Args&&... args) {
    log_write(LogLevel::notice, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
    log_write(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
    log_write(LogLevel::debug, fmt::format(format, std::forward<Args>(args)...));
}

} // namespace base
