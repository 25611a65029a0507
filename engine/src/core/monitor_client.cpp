#include "core/monitor_client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>

#include "base/files.hpp"

namespace engine {
namespace {

using monitor::MessageType;

/// A run directory's name may be longer than the 108 bytes of sun_path: the way leads over its descriptor.
sockaddr_un socket_address(const base::UniqueFd& directory) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = fmt::format("/proc/self/fd/{}/monitor.sock", directory.get());
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
}

template <typename T>
std::string_view bytes_of(const T& value) noexcept {
    return {reinterpret_cast<const char*>(&value), sizeof value};
}

} // namespace

base::UniqueFd listen_for_monitor(const std::string& run_directory) {
    const base::UniqueFd directory = base::open_file(run_directory, O_PATH | O_DIRECTORY);
    base::UniqueFd fd(base::check(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
    const sockaddr_un address = socket_address(directory);
    (void)::unlinkat(directory.get(), "monitor.sock", 0);
    base::check(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
                "bind " + run_directory + "/monitor.sock");
    base::check(::listen(fd.get(), 64), "listen on " + run_directory + "/monitor.sock");
    return fd;
}

std::unique_ptr<MonitorConnection> MonitorConnection::connect(const std::string& run_directory, monitor::Role role,
                                                              std::uint32_t streams) {
    const std::string name = run_directory + "/monitor.sock";
    base::UniqueFd directory(::open(run_directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory)
        return nullptr;
    base::UniqueFd fd(base::check(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), "socket"));
    const sockaddr_un address = socket_address(directory);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
        if (errno == ECONNREFUSED || errno == ENOENT)
            return nullptr;
        base::throw_errno("connect " + name);
    }
    std::unique_ptr<MonitorConnection> connection(new MonitorConnection(std::move(fd)));
    const monitor::ClientHello hello{monitor::protocol_magic, monitor::protocol_version,
                                     static_cast<std::uint32_t>(role), streams};
    Message answer;
    if (!connection->send(MessageType::hello, bytes_of(hello)))
        return nullptr;
    switch (connection->receive(answer, 10'000)) {
    case Received::closed:
        return nullptr;
    case Received::nothing:
        throw base::Error(ETIMEDOUT, "hello of the monitor at " + name);
    case Received::message:
        break;
    }
    monitor::MonitorHello greeting{};
    if (answer.type != MessageType::hello || answer.payload.size() < sizeof greeting)
        throw base::Error("monitor at " + name + ": does not speak our protocol");
    std::memcpy(&greeting, answer.payload.data(), sizeof greeting);
    if (greeting.magic != monitor::protocol_magic || greeting.version == 0 ||
        greeting.version > monitor::protocol_version)
        throw base::Error(fmt::format("monitor at {}: protocol version {}, known up to {}", name, greeting.version,
                                      monitor::protocol_version));
    connection->monitor_pid_ = greeting.monitor_pid;
    connection->state_ = *parse_state(std::string_view(answer.payload).substr(offsetof(monitor::MonitorHello, state)));
    return connection;
}

MonitorConnection::Received MonitorConnection::receive(Message& message, int timeout_ms) {
    pollfd poller{fd_.get(), POLLIN, 0};
    const int ready = ::poll(&poller, 1, timeout_ms);
    if (ready == 0 || (ready < 0 && errno == EINTR))
        return Received::nothing;
    message.payload.resize(sizeof(monitor::Header) + monitor::maximum_payload);
    ssize_t size = ::recv(fd_.get(), message.payload.data(), message.payload.size(), MSG_DONTWAIT);
    // A monitor that ended with input of ours unread makes one ECONNRESET; what it had sent is still to be read.
    if (size < 0 && errno == ECONNRESET)
        size = ::recv(fd_.get(), message.payload.data(), message.payload.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return Received::nothing;
    monitor::Header header{};
    if (size < static_cast<ssize_t>(sizeof header))
        return Received::closed;
    std::memcpy(&header, message.payload.data(), sizeof header);
    message.payload.resize(static_cast<std::size_t>(size));
    message.payload.erase(0, sizeof header);
    if (header.size != message.payload.size())
        return Received::closed;
    message.type = static_cast<MessageType>(header.type);
    message.detail = header.detail;
    if (message.type == MessageType::state)
        if (auto parsed = parse_state(message.payload))
            state_ = std::move(*parsed);
    return Received::message;
}

bool MonitorConnection::send(MessageType type, std::string_view payload) noexcept {
    monitor::Header header{static_cast<std::uint16_t>(type), 0, static_cast<std::uint32_t>(payload.size())};
    iovec parts[2] = {{&header, sizeof header}, {const_cast<char*>(payload.data()), payload.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    ssize_t sent;
    do
        sent = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

bool MonitorConnection::send_signal(int signal) noexcept {
    return send(MessageType::signal, bytes_of(monitor::Signal{signal}));
}

bool MonitorConnection::send_resize(unsigned rows, unsigned columns) noexcept {
    return send(MessageType::resize,
                bytes_of(monitor::Resize{static_cast<std::uint16_t>(rows), static_cast<std::uint16_t>(columns)}));
}

void MonitorConnection::shut_down() noexcept {
    (void)::shutdown(fd_.get(), SHUT_RDWR);
}

std::optional<ParsedState> parse_state(std::string_view payload) {
    ParsedState parsed;
    if (payload.size() < sizeof parsed.state)
        return std::nullopt;
    std::memcpy(&parsed.state, payload.data(), sizeof parsed.state);
    parsed.error = payload.substr(sizeof parsed.state);
    return parsed;
}

// --- attachment ---

bool MonitorAttachment::connect(const std::string& run_directory) {
    const std::uint32_t streams = (request_.stdin_open ? monitor::stream_in : 0) |
                                  (request_.stdout_open ? monitor::stream_out : 0) |
                                  (request_.stderr_open ? monitor::stream_error : 0);
    auto connection = MonitorConnection::connect(run_directory, monitor::Role::attach, streams);
    std::lock_guard lock(mutex_);
    if (connection)
        connection_ = std::move(connection);
    else
        closed_ = true;
    if (closed_ && connection_)
        connection_->shut_down();
    changed_.notify_all();
    return !closed_;
}

MonitorConnection* MonitorAttachment::connected() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || connection_; });
    return connection_.get();
}

std::optional<Attachment::Output> MonitorAttachment::read() {
    MonitorConnection* connection = connected();
    if (connection == nullptr)
        return std::nullopt;
    MonitorConnection::Message message;
    for (;;) {
        switch (connection->receive(message, -1)) {
        case MonitorConnection::Received::nothing:
            continue;
        case MonitorConnection::Received::closed:
            return std::nullopt;
        case MonitorConnection::Received::message:
            break;
        }
        if (message.type == MessageType::end)
            return std::nullopt;
        if (message.type == MessageType::output)
            return Output{message.detail == 2 ? StdStream::error : StdStream::out, std::move(message.payload)};
    }
}

void MonitorAttachment::write_stdin(std::string_view data) {
    MonitorConnection* connection = connected();
    while (!data.empty()) {
        const auto part = data.substr(0, 16 * 1024);
        if (connection == nullptr || !connection->send(MessageType::input, part))
            throw base::Error(EPIPE, "write to the container's standard input");
        data.remove_prefix(part.size());
    }
}

void MonitorAttachment::close_stdin() {
    if (MonitorConnection* connection = connected())
        (void)connection->send(MessageType::input_close);
}

void MonitorAttachment::close() noexcept {
    std::lock_guard lock(mutex_);
    closed_ = true;
    if (connection_)
        connection_->shut_down();
    changed_.notify_all();
}

namespace {
class SharedAttachment final : public Attachment {
public:
    SharedAttachment(std::shared_ptr<MonitorAttachment> attachment, std::function<void()> at_end)
        : attachment_(std::move(attachment)), at_end_(std::move(at_end)) {}
    std::optional<Output> read() override {
        auto output = attachment_->read();
        if (!output && at_end_ && !closed_)
            at_end_();
        return output;
    }
    void write_stdin(std::string_view data) override { attachment_->write_stdin(data); }
    void close_stdin() override { attachment_->close_stdin(); }
    void close() noexcept override {
        closed_ = true;
        attachment_->close();
    }

private:
    std::shared_ptr<MonitorAttachment> attachment_;
    const std::function<void()> at_end_;
    std::atomic<bool> closed_ = false;
};
} // namespace

std::unique_ptr<Attachment> share_attachment(std::shared_ptr<MonitorAttachment> attachment,
                                             std::function<void()> at_end) {
    return std::make_unique<SharedAttachment>(std::move(attachment), std::move(at_end));
}

} // namespace engine
