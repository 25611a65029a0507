#include "control_socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "log.hpp"

namespace init {

int check_request(const Message& request, std::size_t size) noexcept {
    if (size != sizeof(Message) || request.magic != message_magic || request.length > sizeof request.payload)
        return EPROTO;
    if (request.version != message_version)
        return EPROTONOSUPPORT;
    return 0;
}

int ControlSocket::listen(const char* path) noexcept {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::size_t length = std::strlen(path);
    if (length >= sizeof address.sun_path)
        return ENAMETOOLONG;
    std::memcpy(address.sun_path, path, length);
    listener_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!listener_)
        return errno;
    ::unlink(path);
    // Never open to others, not even between bind and chmod.
    const mode_t old_mask = ::umask(0177);
    const int bound = ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const int error = errno;
    ::umask(old_mask);
    if (bound != 0 || ::listen(listener_.get(), 16) != 0) {
        const int failure = bound != 0 ? error : errno;
        listener_.reset();
        return failure;
    }
    return 0;
}

base::UniqueFd ControlSocket::connect_engine() noexcept {
    for (Connection& connection : connections_) {
        if (connection.caller.engine)
            connection = {};
    }
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return {};
    Connection& connection = free_connection();
    connection.fd.reset(ends[0]);
    connection.caller = {0, true};
    connection.last_used = now_msec();
    return base::UniqueFd(ends[1]);
}

/// An empty place, else that of the connection that was silent longest; never engined's.
ControlSocket::Connection& ControlSocket::free_connection() noexcept {
    Connection* oldest = nullptr;
    for (Connection& connection : connections_) {
        if (!connection.fd)
            return connection;
        if (!connection.caller.engine && (oldest == nullptr || connection.last_used < oldest->last_used))
            oldest = &connection;
    }
    // One connection at most is engined's, and there are more.
    Connection& chosen = oldest != nullptr ? *oldest : connections_.back();
    chosen = {};
    return chosen;
}

std::size_t ControlSocket::prepare_poll(std::span<pollfd> entries) noexcept {
    std::size_t count = 0;
    if (listener_ && count < entries.size())
        entries[count++] = {listener_.get(), POLLIN, 0};
    for (const Connection& connection : connections_) {
        if (connection.fd && count < entries.size())
            entries[count++] = {connection.fd.get(), POLLIN, 0};
    }
    return count;
}

void ControlSocket::serve(std::span<const pollfd> entries, RequestHandler& handler) noexcept {
    bool accepting = false;
    for (const pollfd& entry : entries) {
        if (entry.revents == 0)
            continue;
        if (entry.fd == listener_.get()) {
            accepting = true;
            continue;
        }
        const auto found = std::find_if(connections_.begin(), connections_.end(),
                                        [&](const Connection& one) { return one.fd.get() == entry.fd; });
        if (found != connections_.end())
            serve_one(*found, handler);
    }
    // Last: a new connection may take the place, and the descriptor number, of an old one.
    if (accepting)
        accept_one();
}

void ControlSocket::accept_one() noexcept {
    base::UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ucred peer{};
    socklen_t size = sizeof peer;
    if (!fd || ::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return;
    // Credentials of the moment of connect(2), translated into our user namespace by the kernel.
    if (peer.uid != 0) {
        log_warning("refused a connection from uid=", peer.uid, " pid=", peer.pid);
        return;
    }
    Connection& connection = free_connection();
    connection.fd = std::move(fd);
    connection.caller = {peer.pid, false};
    connection.last_used = now_msec();
}

void ControlSocket::serve_one(Connection& connection, RequestHandler& handler) noexcept {
    // One message a turn: a caller that floods us does not keep the others, or engined, from being heard.
    Message request;
    const ssize_t size = ::recv(connection.fd.get(), &request, sizeof request, MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0) {
        connection = {};
        return;
    }
    connection.last_used = now_msec();
    Message answer{};
    answer.magic = message_magic;
    answer.version = message_version;
    answer.error = check_request(request, static_cast<std::size_t>(size));
    if (answer.error == 0) {
        answer.operation = request.operation;
        handler.handle(request, connection.caller, answer);
        if (request.operation == static_cast<std::uint16_t>(Operation::engine_alive))
            return;
    } else if (size >= static_cast<ssize_t>(offsetof(Message, error))) {
        answer.operation = request.operation;
    }
    // A caller that does not read its answers has no use for the connection.
    if (::send(connection.fd.get(), &answer, sizeof answer, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        connection = {};
}

} // namespace init
