#include "ocirun/error_log.hpp"

#include <fcntl.h>

#include <fmt/format.h>

#include "base/files.hpp"
#include "runtime/launch.hpp"

namespace ocirun {

namespace {

/// As a string of JSON, which logfmt takes as well.
std::string quoted(const std::string& text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            result += '\\';
        if (static_cast<unsigned char>(c) >= 0x20)
            result += c;
        else if (c == '\n')
            result += "\\n";
        else
            result += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    }
    return result + "\"";
}

} // namespace

void ErrorLog::write(const std::string& message, const char* level) const noexcept {
    if (path.empty())
        return;
    try {
        const base::UniqueFd file = base::open_file(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
        const std::string time = engine::runtime::timestamp();
        const std::string line =
            json ? fmt::format(R"({{"level":"{}","msg":{},"time":"{}"}})", level, quoted(message), time)
                 : fmt::format("time=\"{}\" level={} msg={}", time, level, quoted(message));
        base::write_all(file.get(), line + "\n", path);
    } catch (const std::exception&) {
        return;
    }
}

} // namespace ocirun
