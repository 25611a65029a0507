#include "monitor/client.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace engine::monitor {

namespace {
/// Only when the container has ended are packets collected without waiting for the client; that is at most what
/// two pipes hold.
constexpr std::size_t pending_limit = 256;
} // namespace

void Client::drop() noexcept {
    fd_.reset();
    pending_.clear();
}

bool Client::greet(std::string_view payload) noexcept {
    ClientHello hello{};
    if (greeted_ || payload.size() < sizeof hello)
        return false;
    std::memcpy(&hello, payload.data(), sizeof hello);
    const bool known_role = hello.role == static_cast<std::uint32_t>(Role::control) ||
                            hello.role == static_cast<std::uint32_t>(Role::attach);
    if (hello.magic != protocol_magic || hello.version == 0 || !known_role)
        return false;
    greeted_ = true;
    version_ = std::min(hello.version, protocol_version);
    role_ = static_cast<Role>(hello.role);
    streams_ = hello.streams;
    return true;
}

void Client::send(MessageType type, std::uint16_t detail, std::string_view payload, std::string_view more) {
    if (gone())
        return;
    Header header{static_cast<std::uint16_t>(type), detail, static_cast<std::uint32_t>(payload.size() + more.size())};
    if (pending_.empty()) {
        iovec parts[3] = {{&header, sizeof header},
                          {const_cast<char*>(payload.data()), payload.size()},
                          {const_cast<char*>(more.data()), more.size()}};
        msghdr message{};
        message.msg_iov = parts;
        message.msg_iovlen = 3;
        if (::sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return;
        if (errno != EAGAIN && errno != ENOBUFS) {
            drop();
            return;
        }
    }
    if (pending_.size() >= pending_limit) {
        drop();
        return;
    }
    std::string packet(reinterpret_cast<const char*>(&header), sizeof header);
    packet.append(payload).append(more);
    pending_.push_back(std::move(packet));
}

void Client::flush() {
    std::size_t sent = 0;
    while (sent < pending_.size()) {
        if (::send(fd_.get(), pending_[sent].data(), pending_[sent].size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
            if (errno == EAGAIN || errno == ENOBUFS)
                break;
            drop();
            return;
        }
        ++sent;
    }
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(sent));
    if (pending_.empty())
        std::vector<std::string>().swap(pending_);
}

} // namespace engine::monitor
