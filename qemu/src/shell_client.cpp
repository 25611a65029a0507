#include "qemu/shell_client.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/error.hpp"

namespace qemu {
namespace {

constexpr Seconds grace{60}; ///< for a busy guest: to say that it is there, and to answer after the command's own limit

void send_all(int fd, std::string_view data, const Deadline& deadline) {
    while (!data.empty()) {
        const ssize_t count = ::send(fd, data.data(), data.size(), MSG_NOSIGNAL);
        if (count >= 0) {
            data.remove_prefix(static_cast<std::size_t>(count));
            continue;
        }
        if (errno == EAGAIN) {
            pollfd wait{fd, POLLOUT, 0};
            if (::poll(&wait, 1, deadline.poll_milliseconds()) == 0)
                throw base::Error(ETIMEDOUT, "write to the guest shell");
        } else if (errno != EINTR) {
            base::throw_errno("write to the guest shell");
        }
    }
}

bool is_ready(const std::vector<std::string>& words) {
    return (words.size() == 2 || words.size() == 3) && words[0] == "ready" && words[1].size() == 36;
}

} // namespace

// Ids differ between clients, so that an answer to somebody who went away is not taken for ours.
ShellClient::ShellClient(base::UniqueFd socket)
    : socket_(std::move(socket)),
      next_id_(static_cast<unsigned long>(std::chrono::steady_clock::now().time_since_epoch().count())) {
    base::check(::fcntl(socket_.get(), F_SETFL, O_NONBLOCK), "fcntl");
}

std::string ShellClient::next_line(const Deadline& deadline, const std::string& waiting_for) {
    while (true) {
        if (auto line = lines_.next())
            return *line;
        if (deadline.passed())
            throw base::Error("guest shell: no answer in time: " + waiting_for);
        pollfd wait{socket_.get(), POLLIN, 0};
        if (::poll(&wait, 1, deadline.poll_milliseconds()) < 0 && errno != EINTR)
            base::throw_errno("poll");
        std::array<char, 16384> chunk; // NOLINT(cppcoreguidelines-pro-type-member-init): filled by recv
        const ssize_t count = ::recv(socket_.get(), chunk.data(), chunk.size(), 0);
        if (count == 0)
            throw base::Error("guest shell: the machine ended: " + waiting_for);
        if (count < 0 && errno != EAGAIN && errno != EINTR)
            base::throw_errno("read from the guest shell");
        if (count > 0)
            lines_.append({chunk.data(), static_cast<std::size_t>(count)});
    }
}

std::string ShellClient::wait_ready(const Deadline& deadline) {
    return wait_reboot({}, deadline);
}

std::string ShellClient::wait_reboot(const std::string& old_boot, const Deadline& deadline) {
    // What was read or queued before may be of a boot that is gone: only what comes from now on counts.
    lines_ = LineBuffer();
    std::array<char, 16384> chunk; // NOLINT(cppcoreguidelines-pro-type-member-init): only emptied
    while (::recv(socket_.get(), chunk.data(), chunk.size(), 0) > 0) {
    }
    while (true) {
        const auto words = shell_words(next_line(deadline, "waiting for it to start"));
        if (is_ready(words) && words[1] != old_boot) {
            shell_ = words.size() == 3 ? words[2] : "";
            return words[1];
        }
    }
}

std::string ShellClient::send_request(const std::string& command, const std::string& input, Seconds timeout) {
    std::string id = std::to_string(next_id_++);
    const std::string request =
        fmt::format("run {} {} {} {}\n", id, std::chrono::ceil<std::chrono::milliseconds>(timeout).count(),
                    shell_encode(command), shell_encode(input));
    if (request.size() > shell_line_limit)
        throw base::Error("guest shell: command and input are too long");
    wait_ready(Deadline(std::max(timeout, grace))); // it may be being started anew
    send_all(socket_.get(), request, Deadline(grace));
    return id;
}

void ShellClient::post(const std::string& command) {
    send_request(command, {}, grace);
}

ShellResult ShellClient::run(const std::string& command, const std::string& input, Seconds timeout) {
    const std::string id = send_request(command, input, timeout);
    const Deadline deadline(timeout + grace);
    ShellResult result;
    while (true) {
        const auto words = shell_words(next_line(deadline, command));
        if (is_ready(words) && words.size() == 3 && words[2] != shell_)
            throw ShellRestarted("guest shell: it was started anew before it answered: " + command);
        if (words.size() != 3 || words[1] != id)
            continue;
        if (words[0] == "out")
            result.output += shell_decode(words[2]);
        else if (words[0] == "err")
            result.errors += shell_decode(words[2]);
        else if (words[0] == "fail")
            throw base::Error("guest shell: " + command + ": " + shell_decode(words[2]));
        else if (words[0] == "end") {
            result.code = std::stoi(words[2]);
            return result;
        }
    }
}

} // namespace qemu
