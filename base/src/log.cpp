#include "base/log.hpp"

#include <unistd.h>

namespace base {
namespace {

struct Settings {
    std::string program = "atoll";
    LogLevel threshold = LogLevel::info;
    bool prefix = true;
};

LogSink sink = nullptr;

Settings& settings() {
    static Settings instance;
    return instance;
}

void append_escaped(std::string& line, std::string_view text) {
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte != 0x7f)
            line += c;
        else
            fmt::format_to(std::back_inserter(line), "\\x{:02x}", byte);
    }
}

} // namespace

void log_init(std::string_view program, LogLevel threshold) {
    settings() = {std::string(program), threshold, ::isatty(STDERR_FILENO) == 0};
}

void log_to(LogSink new_sink) noexcept {
    sink = new_sink;
}

void log_write(LogLevel level, std::string_view message) noexcept {
    const Settings& set = settings();
    if (level > set.threshold)
        return;
    if (sink != nullptr) {
        sink(level, message);
        return;
    }
    try {
        std::string line;
        line.reserve(message.size() + set.program.size() + 8);
        if (set.prefix)
            fmt::format_to(std::back_inserter(line), "<{}>", static_cast<int>(level));
        line += set.program;
        line += ": ";
        append_escaped(line, message);
        line += '\n';
        // One write keeps the line whole among threads; a log that cannot be written has nowhere to complain.
        [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, line.data(), line.size());
    } catch (...) { // out of memory: the message is lost, the program is not
    }
}

} // namespace base
