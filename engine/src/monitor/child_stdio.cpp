#include "monitor/child_stdio.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace engine::monitor {
namespace {

int make_pipe(base::UniqueFd& reader, base::UniqueFd& writer) noexcept {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) < 0)
        return errno;
    reader.reset(fds[0]);
    writer.reset(fds[1]);
    return 0;
}

/// Only our end: O_NONBLOCK belongs to the open file, and each end of a pipe is one of its own.
int set_nonblocking(int fd) noexcept {
    const int flags = ::fcntl(fd, F_GETFL);
    return flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? errno : 0;
}

int open_null(base::UniqueFd& fd) noexcept {
    fd.reset(::open("/dev/null", O_RDWR | O_CLOEXEC));
    return fd ? 0 : errno;
}

} // namespace

int make_streams(bool tty, bool open_stdin, Streams& ours, ChildStreams& theirs) noexcept {
    int error = make_pipe(ours.error, theirs.error);
    if (error == 0)
        error = set_nonblocking(ours.error.get());
    if (error == 0 && !tty && open_stdin) {
        error = make_pipe(theirs.in, ours.in);
        if (error == 0)
            error = set_nonblocking(ours.in.get());
    } else if (error == 0) {
        error = open_null(theirs.in);
    }
    if (error == 0 && !tty) {
        error = make_pipe(ours.out, theirs.out);
        if (error == 0)
            error = set_nonblocking(ours.out.get());
    } else if (error == 0) {
        error = open_null(theirs.out);
    }
    return error;
}

pid_t run_program(const std::vector<std::string>& argv, const ChildStreams& streams) noexcept {
    std::vector<char*> arguments;
    for (const std::string& argument : argv)
        arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid < 0)
        return -errno;
    if (pid > 0)
        return pid;
    // Ours are above 3 (0, 1, 2 are open since exec, 3 is the socket), so no dup2 overwrites one that is still needed.
    ::dup2(streams.in.get(), 0);
    ::dup2(streams.out.get(), 1);
    ::dup2(streams.error.get(), 2);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    ::execv(arguments[0], arguments.data());
    const char* reason = ::strerrordesc_np(errno);
    for (const char* text : {"exec ", static_cast<const char*>(arguments[0]), ": ", reason, "\n"})
        (void)!::write(2, text, std::strlen(text));
    ::_exit(127);
}

base::UniqueFd listen_for_console() noexcept {
    base::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, "console.sock");
    (void)::unlink(address.sun_path);
    if (!listener || ::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 ||
        ::listen(listener.get(), 1) < 0)
        return {};
    return listener;
}

base::UniqueFd receive_console(int listener) noexcept {
    base::UniqueFd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection)
        return {};
    // A runtime that connects and sends nothing must not stop us.
    const timeval limit{5, 0};
    ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    char name[256];
    iovec part{name, sizeof name};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (::recvmsg(connection.get(), &message, MSG_CMSG_CLOEXEC) < 0)
        return {};
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
        header->cmsg_len != CMSG_LEN(sizeof(int)))
        return {};
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    base::UniqueFd master(fd);
    if (set_nonblocking(master.get()) != 0)
        return {};
    return master;
}

std::string read_available(int fd) {
    std::string text(4096, '\0');
    std::size_t size = 0;
    while (size < text.size()) {
        const ssize_t n = ::read(fd, text.data() + size, text.size() - size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        size += static_cast<std::size_t>(n);
    }
    text.resize(size);
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
        text.pop_back();
    return text;
}

} // namespace engine::monitor
