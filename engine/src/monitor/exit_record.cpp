#include "monitor/exit_record.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "base/unique_fd.hpp"

namespace engine::monitor {
namespace {

template <typename T>
bool parse_number(std::string_view text, T& out) {
    const auto result = std::from_chars(text.data(), text.data() + text.size(), out);
    return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

int write_whole(int fd, std::string_view data) {
    while (!data.empty()) {
        const ssize_t n = ::write(fd, data.data(), data.size());
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return errno;
        }
        data.remove_prefix(static_cast<std::size_t>(n));
    }
    return 0;
}

} // namespace

std::string format_exit_record(const ExitRecord& record) {
    std::string error = record.error;
    for (char& c : error)
        if (c == '\n' || c == '\r')
            c = ' ';
    return "failed=" + std::to_string(record.failed ? 1 : 0) + "\ncode=" + std::to_string(record.code) +
           "\nsignal=" + std::to_string(record.signal) + "\nstarted=" + std::to_string(record.started_nsec) +
           "\nfinished=" + std::to_string(record.finished_nsec) + "\nerror=" + error + "\nend\n";
}

std::optional<ExitRecord> parse_exit_record(std::string_view text) {
    ExitRecord record;
    bool ended = false, has_code = false;
    while (!text.empty() && !ended) {
        const auto line_end = text.find('\n');
        if (line_end == std::string_view::npos)
            return std::nullopt;
        const auto line = text.substr(0, line_end);
        text.remove_prefix(line_end + 1);
        const auto equals = line.find('=');
        if (equals == std::string_view::npos) {
            ended = line == "end";
            if (!ended)
                return std::nullopt;
            continue;
        }
        const auto name = line.substr(0, equals), value = line.substr(equals + 1);
        int failed = 0;
        bool good = true;
        if (name == "failed") {
            good = parse_number(value, failed);
            record.failed = failed != 0;
        } else if (name == "code") {
            good = has_code = parse_number(value, record.code);
        } else if (name == "signal") {
            good = parse_number(value, record.signal);
        } else if (name == "started") {
            good = parse_number(value, record.started_nsec);
        } else if (name == "finished") {
            good = parse_number(value, record.finished_nsec);
        } else if (name == "error") {
            record.error = value;
        }
        if (!good)
            return std::nullopt;
    }
    if (!ended || !has_code)
        return std::nullopt;
    return record;
}

int write_exit_record(int dirfd, const char* name, const ExitRecord& record) noexcept {
    const std::string temporary = std::string(name) + ".tmp";
    base::UniqueFd fd(::openat(dirfd, temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd)
        return errno;
    if (const int error = write_whole(fd.get(), format_exit_record(record)); error != 0)
        return error;
    if (::fsync(fd.get()) < 0 || ::renameat(dirfd, temporary.c_str(), dirfd, name) < 0 || ::fsync(dirfd) < 0)
        return errno;
    return 0;
}

} // namespace engine::monitor
