// Runs commands inside a machine by its `guest-shell` (shell_protocol.hpp).
#pragma once
#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "qemu/deadline.hpp"
#include "qemu/shell_protocol.hpp"

namespace qemu {

struct ShellResult {
    int code = 0; ///< as the shell's $?
    std::string output;
    std::string errors;
    bool ok() const noexcept { return code == 0; }
};

/// The shell that was asked is gone, and another one is there: whether it ran the command is not known.
struct ShellRestarted : base::Error {
    using Error::Error;
};

class ShellClient {
public:
    /// Takes a stream socket connected to the machine's second serial port.
    explicit ShellClient(base::UniqueFd socket);

    /// Waits until the shell inside answers; returns the boot id of the kernel that runs. Throws base::Error at the
    /// deadline or when the machine has ended.
    std::string wait_ready(const Deadline& deadline);
    /// As wait_ready, but goes on waiting while the boot id is `old_boot`: until the machine has started anew.
    std::string wait_reboot(const std::string& old_boot, const Deadline& deadline);
    /// Runs `sh -c COMMAND` as root in PID 1's mount namespace. Throws base::Error when it could not be run or did not
    /// end in time, ShellRestarted when the shell did not live to answer; an exit code is returned.
    ShellResult run(const std::string& command, const std::string& input, Seconds timeout);
    /// Sends the command and does not wait: for what ends the shell itself, such as a reboot.
    void post(const std::string& command);

private:
    std::string send_request(const std::string& command, const std::string& input, Seconds timeout);
    std::string next_line(const Deadline& deadline, const std::string& waiting_for);

    base::UniqueFd socket_;
    LineBuffer lines_;
    std::string shell_; ///< the process that said it was ready last; empty: of a release that did not tell
    unsigned long next_id_;
};

} // namespace qemu
