#include "qemu/console_log.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/error.hpp"
#include "base/files.hpp"

namespace qemu {

std::string plain_text(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\r')
            continue;
        if (text[i] != '\033') {
            plain += text[i];
            continue;
        }
        // ECMA-48 5.4: ESC [ parameters, ended by a byte from '@' to '~'. Any other escape is two bytes here.
        if (++i < text.size() && text[i] == '[') {
            do {
                ++i;
            } while (i < text.size() && (text[i] < '@' || text[i] > '~'));
        }
    }
    return plain;
}

ConsoleLog::ConsoleLog(std::string path)
    : path_(std::move(path)), file_(base::open_file(path_, O_RDONLY | O_CREAT, 0644)),
      inotify_(base::check(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK), "inotify_init1")) {
    base::check(::inotify_add_watch(inotify_.get(), path_.c_str(), IN_MODIFY), "watch " + path_);
    skip_to_end();
}

void ConsoleLog::skip_to_end() {
    base::check(::lseek(file_.get(), 0, SEEK_END), "seek " + path_);
    unread_.clear();
}

bool ConsoleLog::read_more() {
    std::array<char, 16384> buffer; // NOLINT(cppcoreguidelines-pro-type-member-init): filled by read
    const ssize_t count = base::check(::read(file_.get(), buffer.data(), buffer.size()), "read " + path_);
    unread_.append(buffer.data(), static_cast<std::size_t>(count));
    return count > 0;
}

std::size_t ConsoleLog::wait_for_any(const std::vector<std::string>& texts, const Deadline& deadline, int ended_fd) {
    std::size_t longest = 1;
    for (const std::string& text : texts)
        longest = std::max(longest, text.size());
    std::size_t searched = 0;
    bool ended = false;
    while (true) {
        // Whatever appears first in the log wins, not whatever is first in the list.
        std::size_t best = std::string::npos;
        std::size_t which = 0;
        for (std::size_t i = 0; i < texts.size(); ++i) {
            const std::size_t place = unread_.find(texts[i], searched);
            if (place < best) {
                best = place;
                which = i;
            }
        }
        if (best != std::string::npos) {
            unread_.erase(0, best + texts[which].size());
            return which;
        }
        searched = unread_.size() < longest ? 0 : unread_.size() - longest + 1;
        if (read_more())
            continue;

        std::string names;
        for (const std::string& text : texts)
            names += (names.empty() ? "'" : "' or '") + text;
        if (ended)
            throw base::Error(
                fmt::format("the machine ended before its console said {}'; {}\n{}", names, path_, tail(25)));
        if (deadline.passed())
            throw base::Error(fmt::format("the console did not say {}' in time; {}\n{}", names, path_, tail(25)));
        std::array<pollfd, 2> fds{{{inotify_.get(), POLLIN, 0}, {ended_fd, POLLIN, 0}}};
        if (::poll(fds.data(), fds.size(), deadline.poll_milliseconds()) < 0 && errno != EINTR)
            base::throw_errno("poll");
        std::array<char, 4096> events; // NOLINT(cppcoreguidelines-pro-type-member-init): only emptied
        while (::read(inotify_.get(), events.data(), events.size()) > 0) {
        }
        ended = fds[1].revents != 0;
    }
}

std::string ConsoleLog::tail(std::size_t lines) const {
    constexpr off_t enough = 64 * 1024;
    struct stat info {};
    base::check(::fstat(file_.get(), &info), "stat " + path_);
    std::string text(static_cast<std::size_t>(std::min(info.st_size, enough)), '\0');
    const ssize_t count = ::pread(file_.get(), text.data(), text.size(), std::max<off_t>(0, info.st_size - enough));
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, count)));
    text = plain_text(text);
    std::size_t start = text.size();
    for (std::size_t seen = 0; start > 0; --start)
        if (text[start - 1] == '\n' && start != text.size() && ++seen == lines)
            break;
    return text.substr(start);
}

} // namespace qemu
