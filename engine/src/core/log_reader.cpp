#include "engine/log_reader.hpp"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <deque>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/json.hpp"

namespace engine {
namespace {

constexpr std::size_t longest_line = 256 * 1024; // 16 KiB, each byte escaped to six, and the rest of the object
constexpr unsigned most_files = 100;

/// RFC 3339 as the monitor writes it ("2026-11-21T10:00:00.123456789Z") to nanoseconds; nullopt for anything else.
std::optional<std::int64_t> parse_time(const std::string& text) {
    std::tm parts{};
    const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
    if (rest == nullptr)
        return std::nullopt;
    std::int64_t nsec = ::timegm(&parts) * 1'000'000'000LL;
    if (*rest == '.') {
        std::int64_t unit = 100'000'000;
        for (++rest; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10)
            nsec += (*rest - '0') * unit;
    }
    return *rest == 'Z' ? std::optional(nsec) : std::nullopt;
}

std::int64_t nsec_of(TimePoint time) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

} // namespace

std::optional<LogEntry> parse_log_line(std::string_view line) {
    try {
        const base::json::value document = base::parse_json(line, "log");
        const base::JsonObject object(document, "log");
        LogEntry entry;
        entry.text = object.required_string("log");
        entry.standard_error = object.string("stream") == "stderr";
        entry.time = object.required_string("time");
        return entry;
    } catch (const base::Error&) {
        return std::nullopt;
    }
}

struct LogReader::Impl {
    std::string path;
    LogReadOptions options;
    std::vector<std::string> older; ///< rotated files yet to be read, oldest last
    base::UniqueFd file;
    bool current = false; ///< `file` is the one being written
    std::string buffer;
    std::size_t position = 0;
    std::deque<LogEntry> tail;
    bool tail_read = false;
    base::UniqueFd inotify;

    void open_next() {
        buffer.clear();
        position = 0;
        while (!older.empty()) {
            const std::string name = older.back();
            older.pop_back();
            file.reset(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
            if (file)
                return;
        }
        file.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        current = true;
        if (!file && errno != ENOENT)
            base::throw_errno("open " + path);
    }

    /// A line without its break; nullopt: no whole one is there (yet).
    std::optional<std::string> next_line() {
        for (;;) {
            const auto end = buffer.find('\n', position);
            if (end != std::string::npos) {
                std::string line = buffer.substr(position, end - position);
                position = end + 1;
                return line;
            }
            buffer.erase(0, position);
            position = 0;
            if (!file)
                return std::nullopt;
            if (buffer.size() > longest_line)
                buffer.clear();
            char chunk[16 * 1024];
            const ssize_t n = ::read(file.get(), chunk, sizeof chunk);
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                return std::nullopt;
            buffer.append(chunk, static_cast<std::size_t>(n));
        }
    }

    /// True when the file we read was rotated away: what it has is all it will ever have.
    bool rotated() const {
        struct stat ours {
        }, named{};
        if (!file)
            return ::stat(path.c_str(), &named) == 0;
        return ::fstat(file.get(), &ours) == 0 && ::stat(path.c_str(), &named) == 0 &&
               (ours.st_ino != named.st_ino || ours.st_dev != named.st_dev);
    }

    bool wanted(const LogEntry& entry) const {
        if (entry.standard_error ? !options.standard_error : !options.standard_output)
            return false;
        if (!options.since && !options.until)
            return true;
        const auto time = parse_time(entry.time);
        return time && (!options.since || *time >= nsec_of(*options.since)) &&
               (!options.until || *time <= nsec_of(*options.until));
    }

    std::optional<LogEntry> next_entry() {
        for (;;) {
            if (const auto line = next_line()) {
                if (auto entry = parse_log_line(*line); entry && wanted(*entry))
                    return entry;
                continue;
            }
            if (!current) {
                open_next();
                continue;
            }
            if (!rotated())
                return std::nullopt;
            // Between our last read and the rename something may have been written: once more, then on.
            if (auto line = next_line()) {
                if (auto entry = parse_log_line(*line); entry && wanted(*entry))
                    return entry;
                continue;
            }
            current = false;
            open_next();
        }
    }

    void read_tail() {
        tail_read = true;
        while (auto entry = next_entry()) {
            tail.push_back(std::move(*entry));
            if (tail.size() > *options.tail)
                tail.pop_front();
        }
    }

    void wait(std::chrono::milliseconds timeout) {
        if (!inotify) {
            inotify.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
            const std::string directory = path.substr(0, path.rfind('/'));
            if (!inotify ||
                ::inotify_add_watch(inotify.get(), directory.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
                base::throw_errno("watch " + directory);
            return; // it may have grown before we watched: look again first
        }
        pollfd poller{inotify.get(), POLLIN, 0};
        if (::poll(&poller, 1, static_cast<int>(timeout.count())) > 0) {
            char events[4096];
            while (::read(inotify.get(), events, sizeof events) > 0) {
            }
        }
    }
};

LogReader::LogReader(std::string path, LogReadOptions options) : impl_(std::make_unique<Impl>()) {
    impl_->path = std::move(path);
    impl_->options = options;
    for (unsigned index = 1; index < most_files; ++index) {
        const std::string name = impl_->path + "." + std::to_string(index);
        if (::access(name.c_str(), F_OK) < 0)
            break;
        impl_->older.push_back(name);
    }
    impl_->open_next();
}

LogReader::~LogReader() = default;

std::optional<LogEntry> LogReader::next(std::chrono::milliseconds timeout) {
    if (impl_->options.tail && !impl_->tail_read)
        impl_->read_tail();
    if (!impl_->tail.empty()) {
        LogEntry entry = std::move(impl_->tail.front());
        impl_->tail.pop_front();
        return entry;
    }
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    for (;;) {
        if (auto entry = impl_->next_entry())
            return entry;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        if (!impl_->options.follow || left.count() <= 0)
            return std::nullopt;
        impl_->wait(left);
    }
}

} // namespace engine
