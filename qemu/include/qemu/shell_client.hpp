// Runs commands inside a machine by its `guest-shell` (shell_protocol.hpp).
#pragma once
#include <string>

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
    /// end in time; an exit code is returned.
    ShellResult run(const std::string& command, const std::string& input, Seconds timeout);
    /// Sends the command and does not wait: for what ends the shell itself, such as a reboot.
    void post(const std::string& command);

private:
    std::string send_request(const std::string& command, const std::string& input, Seconds timeout);
    std::string next_line(const Deadline& deadline, const std::string& waiting_for);

    base::UniqueFd socket_;
    LineBuffer lines_;
    unsigned long next_id_;
};

} // namespace qemu
