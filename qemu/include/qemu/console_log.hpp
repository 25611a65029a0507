// The serial console of a machine, as the log file QEMU writes: found text moves the place where the next search
// starts, so that waits follow each other as the boot does.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"
#include "qemu/deadline.hpp"

namespace qemu {

class ConsoleLog {
public:
    /// Follows `path`, which is made when it is missing, from its present end.
    explicit ConsoleLog(std::string path);

    /// Waits until one of `texts` appears; returns which. `ended_fd` (a pidfd, or -1) becoming readable ends the wait:
    /// what QEMU wrote before it died is still searched. Throws base::Error with the last lines of the console.
    std::size_t wait_for_any(const std::vector<std::string>& texts, const Deadline& deadline, int ended_fd);
    /// Searches from here on: everything up to now is taken as read.
    void skip_to_end();
    /// The last `lines` lines, without escape sequences and carriage returns.
    std::string tail(std::size_t lines) const;
    const std::string& path() const noexcept { return path_; }

private:
    bool read_more();

    std::string path_;
    base::UniqueFd file_;
    base::UniqueFd inotify_;
    std::string unread_; ///< read from the file and not yet passed by a match
};

/// `text` without terminal escape sequences and carriage returns.
std::string plain_text(std::string_view text);

} // namespace qemu
