#include "init/client.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

#include "base/error.hpp"
#include "base/files.hpp"

namespace init {

namespace {

constexpr int answer_timeout_msec = 10'000;

const char* operation_name(Operation operation) noexcept {
    switch (operation) {
    case Operation::status:
        return "status";
    case Operation::engine_alive:
        return "engine_alive";
    case Operation::revision_good:
        return "revision_good";
    case Operation::reboot:
        return "reboot";
    case Operation::poweroff:
        return "poweroff";
    case Operation::halt:
        return "halt";
    case Operation::log_read:
        return "log_read";
    case Operation::trial_length:
        return "trial_length";
    case Operation::boot_loader:
        return "boot_loader";
    }
    return "?";
}

Message make_request(Operation operation, std::uint64_t argument, std::string_view text) noexcept {
    Message request{};
    request.magic = message_magic;
    request.version = message_version;
    request.operation = static_cast<std::uint16_t>(operation);
    request.argument = argument;
    request.length = static_cast<std::uint32_t>(std::min(text.size(), sizeof request.payload));
    if (request.length > 0)
        std::memcpy(request.payload, text.data(), request.length);
    return request;
}

template <typename T>
T payload_as(const Message& answer, const std::string& what) {
    if (answer.length != sizeof(T))
        throw base::Error(EPROTO, what);
    T value;
    std::memcpy(&value, answer.payload, sizeof value);
    return value;
}

} // namespace

Client Client::connect(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        throw base::Error(ENAMETOOLONG, "connect " + path);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    base::UniqueFd fd(base::check(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), "socket"));
    base::check(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "connect " + path);
    return Client(std::move(fd));
}

Client Client::inherited(int fd) {
    int type = 0;
    socklen_t size = sizeof type;
    const std::string name = "connection to init (descriptor " + std::to_string(fd) + ")";
    base::check(::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size), name);
    if (type != SOCK_SEQPACKET)
        throw base::Error(EPROTOTYPE, name);
    base::check(::fcntl(fd, F_SETFD, FD_CLOEXEC), name);
    return Client(base::UniqueFd(fd));
}

Message Client::call(Operation operation, std::uint64_t argument, std::string_view text) {
    const std::string what = std::string("init ") + operation_name(operation);
    const Message request = make_request(operation, argument, text);
    base::check(::send(fd_.get(), &request, sizeof request, MSG_NOSIGNAL), what);
    pollfd poll_fd{fd_.get(), POLLIN, 0};
    int ready = 0;
    do
        ready = ::poll(&poll_fd, 1, answer_timeout_msec);
    while (ready < 0 && errno == EINTR);
    base::check(ready, what);
    if (ready == 0)
        throw base::Error(ETIMEDOUT, what);
    Message answer{};
    const ssize_t size = base::check(::recv(fd_.get(), &answer, sizeof answer, MSG_TRUNC), what);
    if (size == 0) // init closes the connection of a caller that is not root
        throw base::Error(EACCES, what);
    if (size != static_cast<ssize_t>(sizeof answer) || answer.magic != message_magic ||
        answer.operation != request.operation || answer.length > sizeof answer.payload)
        throw base::Error(EPROTO, what);
    if (answer.error != 0 && answer.error != ENODATA)
        throw base::Error(answer.error, what);
    return answer;
}

Status Client::status() {
    Status status = payload_as<Status>(call(Operation::status, 0, {}), "init status");
    // Text of another program: terminated whatever it sent.
    for (char* last : {std::end(status.revision), std::end(status.engine_last_end), std::end(status.shutdown_reason),
                       std::end(status.watchdog_identity), std::end(status.init_version)})
        *(last - 1) = '\0';
    return status;
}

bool Client::engine_alive() noexcept {
    const Message request = make_request(Operation::engine_alive, 0, {});
    return ::send(fd_.get(), &request, sizeof request, MSG_NOSIGNAL | MSG_DONTWAIT) ==
           static_cast<ssize_t>(sizeof request);
}

void Client::revision_good(std::string_view revision) {
    call(Operation::revision_good, 0, revision);
}

void Client::trial_length(std::uint64_t seconds) {
    call(Operation::trial_length, seconds, {});
}

void Client::boot_loader(BootLoaderJob job) {
    call(Operation::boot_loader, static_cast<std::uint64_t>(job), {});
}

void Client::reboot(std::string_view reason, bool force) {
    call(Operation::reboot, force ? shutdown_force : 0, reason);
}

void Client::poweroff(std::string_view reason, bool force) {
    call(Operation::poweroff, force ? shutdown_force : 0, reason);
}

void Client::halt(std::string_view reason, bool force) {
    call(Operation::halt, force ? shutdown_force : 0, reason);
}

std::optional<LogLine> Client::log_line(std::uint64_t sequence) {
    const Message answer = call(Operation::log_read, sequence, {});
    if (answer.error == ENODATA)
        return std::nullopt;
    const auto record = payload_as<LogRecord>(answer, "init log_read");
    if (record.length > sizeof record.text)
        throw base::Error(EPROTO, "init log_read");
    LogLine line;
    line.sequence = record.sequence;
    line.monotonic_usec = record.monotonic_usec;
    line.level = static_cast<int>(record.level);
    line.text.assign(record.text, record.length);
    return line;
}

std::string booted_revision() {
    const std::string arguments = base::read_file("/proc/cmdline", 64 * 1024);
    constexpr std::string_view key = "atoll.rev=";
    std::size_t start = 0;
    while (start < arguments.size()) {
        const std::size_t end = std::min(arguments.find_first_of(" \n", start), arguments.size());
        const std::string_view word = std::string_view(arguments).substr(start, end - start);
        if (word.starts_with(key))
            return std::string(word.substr(key.size()));
        start = end + 1;
    }
    return {};
}

} // namespace init
