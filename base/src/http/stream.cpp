#include "base/http/stream.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/error.hpp"
#include "stream_wait.hpp"

namespace base::http {

void wait_ready(int fd, short events, std::optional<std::chrono::milliseconds> timeout, const char* operation) {
    const auto deadline = std::chrono::steady_clock::now() + timeout.value_or(std::chrono::milliseconds(0));
    for (;;) {
        int left = -1;
        if (timeout) {
            const auto rest =
                std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
            left = static_cast<int>(std::clamp<std::int64_t>(rest.count(), 0, 1'000'000'000));
        }
        pollfd entry{fd, events, 0};
        const int ready = ::poll(&entry, 1, left);
        if (ready > 0)
            return;
        if (ready == 0)
            throw Error(ETIMEDOUT, operation);
        if (errno != EINTR)
            throw_errno(operation);
    }
}

namespace {

class SocketStream final : public Stream {
public:
    explicit SocketStream(UniqueFd fd) : fd_(std::move(fd)) {
        const int flags = check(::fcntl(fd_.get(), F_GETFL), "fcntl");
        check(::fcntl(fd_.get(), F_SETFL, flags | O_NONBLOCK), "fcntl");
    }

    std::size_t read(char* buffer, std::size_t size) override {
        for (;;) {
            const ssize_t count = ::read(fd_.get(), buffer, size);
            if (count >= 0)
                return static_cast<std::size_t>(count);
            if (errno == EAGAIN)
                wait_ready(fd_.get(), POLLIN, read_timeout_, "read from connection");
            else if (errno != EINTR)
                throw_errno("read from connection");
        }
    }

    void write(std::string_view data) override {
        while (!data.empty()) {
            const ssize_t count = ::send(fd_.get(), data.data(), data.size(), MSG_NOSIGNAL);
            if (count >= 0)
                data.remove_prefix(static_cast<std::size_t>(count));
            else if (errno == EAGAIN)
                wait_ready(fd_.get(), POLLOUT, write_timeout, "write to connection");
            else if (errno != EINTR)
                throw_errno("write to connection");
        }
    }

    void shutdown_write() noexcept override { ::shutdown(fd_.get(), SHUT_WR); }
    void abort() noexcept override { ::shutdown(fd_.get(), SHUT_RDWR); }
    int fd() const noexcept override { return fd_.get(); }

private:
    UniqueFd fd_;
};

} // namespace

std::unique_ptr<Stream> socket_stream(UniqueFd fd) {
    return std::make_unique<SocketStream>(std::move(fd));
}

std::string Peer::describe() const {
    if (uid)
        return fmt::format("uid={}", *uid);
    return fmt::format("tls={}", tls_subject);
}

} // namespace base::http
