#include "monitor/log_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <utility>

namespace engine::monitor {
namespace {

/// Length of the well-formed UTF-8 sequence at the front of `text` (Unicode 15, table 3-7), 0 when there is none.
std::size_t utf8_length(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) {
        return static_cast<unsigned char>(text[i]);
    };
    const auto between = [&](std::size_t i, unsigned low, unsigned high) {
        return text.size() > i && byte(i) >= low && byte(i) <= high;
    };
    const unsigned lead = byte(0);
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        return between(1, 0x80, 0xbf) ? 2 : 0;
    if (lead >= 0xe0 && lead <= 0xef) {
        const unsigned low = lead == 0xe0 ? 0xa0 : 0x80, high = lead == 0xed ? 0x9f : 0xbf;
        return between(1, low, high) && between(2, 0x80, 0xbf) ? 3 : 0;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        const unsigned low = lead == 0xf0 ? 0x90 : 0x80, high = lead == 0xf4 ? 0x8f : 0xbf;
        return between(1, low, high) && between(2, 0x80, 0xbf) && between(3, 0x80, 0xbf) ? 4 : 0;
    }
    return 0;
}

} // namespace

void append_json_text(std::string& out, std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    while (!text.empty()) {
        const auto c = static_cast<unsigned char>(text.front());
        std::size_t taken = 1;
        if (c == '"' || c == '\\') {
            out += '\\';
            out += static_cast<char>(c);
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\r') {
            out += "\\r";
        } else if (c == '\t') {
            out += "\\t";
        } else if (c < 0x20 || c == 0x7f) {
            out += "\\u00";
            out += digits[c >> 4];
            out += digits[c & 15];
        } else if (const std::size_t length = utf8_length(text); length > 0) {
            out += text.substr(0, length);
            taken = length;
        } else {
            out += "\\ufffd";
        }
        text.remove_prefix(taken);
    }
}

std::string format_time(std::int64_t nsec_since_epoch) {
    const std::time_t seconds = nsec_since_epoch / 1'000'000'000;
    const long nanoseconds = nsec_since_epoch % 1'000'000'000;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[80];
    std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", parts.tm_year + 1900, parts.tm_mon + 1,
                  parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, nanoseconds);
    return text;
}

LogFile::LogFile(std::string path, std::uint64_t maximum_size, unsigned maximum_files)
    : path_(std::move(path)), maximum_size_(maximum_size), maximum_files_(maximum_files == 0 ? 1 : maximum_files) {}

int LogFile::open() noexcept {
    if (path_.empty())
        return 0;
    fd_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640));
    if (!fd_)
        return errno;
    struct stat status {};
    if (::fstat(fd_.get(), &status) < 0)
        return errno;
    size_ = static_cast<std::uint64_t>(status.st_size);
    // A monitor that was killed, or a power cut, may have left half a line.
    torn_ = size_ > 0;
    if (torn_) {
        char last = '\n';
        base::UniqueFd reader(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        if (reader && ::pread(reader.get(), &last, 1, status.st_size - 1) == 1)
            torn_ = last != '\n';
    }
    return 0;
}

void LogFile::append(Stream stream, std::string_view data, std::int64_t now_nsec) {
    if (!fd_)
        return;
    std::string& partial = partial_[static_cast<std::size_t>(stream)];
    while (!data.empty()) {
        const auto newline = data.find('\n');
        const std::size_t wanted = newline == std::string_view::npos ? data.size() : newline + 1;
        const std::size_t room = maximum_line - partial.size();
        const std::size_t taken = wanted < room ? wanted : room;
        const bool whole = newline != std::string_view::npos && taken == wanted;
        if (partial.empty() && (whole || taken == room)) {
            add_entry(stream, data.substr(0, taken), now_nsec);
        } else {
            partial.append(data.substr(0, taken));
            if (whole || partial.size() == maximum_line) {
                add_entry(stream, partial, now_nsec);
                partial.clear();
            }
        }
        data.remove_prefix(taken);
    }
    flush();
}

void LogFile::finish(std::int64_t now_nsec) {
    for (const Stream stream : {Stream::out, Stream::error}) {
        std::string& partial = partial_[static_cast<std::size_t>(stream)];
        if (!partial.empty() && fd_)
            add_entry(stream, partial, now_nsec);
        partial.clear();
    }
    flush();
}

void LogFile::add_entry(Stream stream, std::string_view text, std::int64_t now_nsec) {
    if (pending_.size() > 32 * 1024)
        flush();
    pending_ += "{\"log\":\"";
    append_json_text(pending_, text);
    pending_ += stream == Stream::out ? "\",\"stream\":\"stdout\",\"time\":\"" : "\",\"stream\":\"stderr\",\"time\":\"";
    pending_ += format_time(now_nsec);
    pending_ += "\"}\n";
}

void LogFile::flush() {
    if (pending_.empty() || !fd_)
        return;
    if (maximum_size_ > 0 && size_ > 0 && size_ + pending_.size() > maximum_size_)
        rotate();
    if (torn_)
        pending_.insert(0, 1, '\n');
    std::string_view rest = pending_;
    while (!rest.empty()) {
        const ssize_t written = ::write(fd_.get(), rest.data(), rest.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            if (lost_ == 0)
                std::fprintf(stderr, "<4>engine-monitor: write %s: errno %d, output is lost\n", path_.c_str(), errno);
            lost_ += rest.size();
            break;
        }
        rest.remove_prefix(static_cast<std::size_t>(written));
    }
    const std::size_t done = pending_.size() - rest.size();
    size_ += done;
    if (done > 0)
        torn_ = pending_[done - 1] != '\n';
    pending_.clear();
    if (pending_.capacity() > 4096) // a burst must not stay in every monitor's memory
        std::string().swap(pending_);
}

void LogFile::rotate() {
    const auto name = [&](unsigned index) {
        return index == 0 ? path_ : path_ + "." + std::to_string(index);
    };
    if (maximum_files_ > 1) {
        for (unsigned index = maximum_files_ - 1; index > 0; --index)
            (void)::rename(name(index - 1).c_str(), name(index).c_str());
    } else {
        (void)::unlink(path_.c_str());
    }
    base::UniqueFd next(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640));
    if (!next)
        return; // goes on in the old file, whatever its name is now
    fd_ = std::move(next);
    size_ = 0;
    torn_ = false;
}

} // namespace engine::monitor
