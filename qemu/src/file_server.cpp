#include "qemu/file_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <atomic>
#include <list>
#include <mutex>
#include <thread>

#include "base/error.hpp"
#include "base/files.hpp"

namespace qemu {
namespace {

constexpr std::size_t header_limit = 16UL * 1024;
constexpr std::size_t piece = 64UL * 1024;

/// RFC 3986 section 2.1; nullopt for a broken escape or a NUL.
std::optional<std::string> percent_decode(std::string_view text) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        char byte = text[i];
        if (byte == '%') {
            const std::string digits(text.substr(i + 1, 2));
            if (digits.size() != 2 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
                return std::nullopt;
            byte = static_cast<char>(std::stoi(digits, nullptr, 16));
            i += 2;
        }
        if (byte == '\0')
            return std::nullopt;
        decoded += byte;
    }
    return decoded;
}

struct RequestLine {
    std::string method;
    std::string target;
    bool keep_alive = true;
};

RequestLine parse_request(std::string_view header) {
    RequestLine request;
    const std::string_view line = header.substr(0, header.find("\r\n"));
    const std::size_t first = line.find(' ');
    const std::size_t second = line.find(' ', first == std::string_view::npos ? first : first + 1);
    if (second == std::string_view::npos)
        return request;
    request.method = line.substr(0, first);
    request.target = line.substr(first + 1, second - first - 1);
    request.keep_alive =
        line.substr(second + 1) == "HTTP/1.1" && header.find("\r\nConnection: close") == std::string_view::npos;
    return request;
}

} // namespace

struct FileServer::Impl {
    struct Connection {
        base::UniqueFd socket;
        std::thread thread;
        std::atomic<bool> done = false;
    };

    std::mutex root_mutex;
    base::UniqueFd root;
    base::UniqueFd listener;
    base::UniqueFd stop_event;
    std::uint16_t port = 0;
    std::atomic<std::uint64_t> served = 0;
    std::atomic<bool> limited = false;
    std::atomic<std::int64_t> left = 0;
    std::list<Connection> connections; // of the accepting thread, and of the destructor after it
    std::thread acceptor;

    void accept_loop();
    void serve(Connection& connection);
    bool answer(int socket, const RequestLine& request);
    bool send_all(int socket, std::string_view data);
    bool send_file(int socket, int file, std::uint64_t size);
};

FileServer::FileServer(const std::string& directory, std::uint16_t port) : impl_(std::make_unique<Impl>()) {
    impl_->root = base::open_file(directory, O_PATH | O_DIRECTORY);
    impl_->listener.reset(base::check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    const int on = 1;
    ::setsockopt(impl_->listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof(address);
    base::check(::bind(impl_->listener.get(), generic, size), fmt::format("bind 127.0.0.1:{}", port));
    base::check(::listen(impl_->listener.get(), 64), "listen");
    base::check(::getsockname(impl_->listener.get(), generic, &size), "getsockname");
    impl_->port = ntohs(address.sin_port);
    impl_->stop_event.reset(base::check(::eventfd(0, EFD_CLOEXEC), "eventfd"));
    impl_->acceptor = std::thread([this] { impl_->accept_loop(); });
}

FileServer::~FileServer() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(impl_->stop_event.get(), &one, sizeof(one));
    impl_->acceptor.join();
    for (Impl::Connection& connection : impl_->connections) {
        ::shutdown(connection.socket.get(), SHUT_RDWR);
        connection.thread.join();
    }
}

std::uint16_t FileServer::port() const noexcept {
    return impl_->port;
}

std::string FileServer::guest_url() const {
    return fmt::format("http://10.0.2.2:{}", impl_->port);
}

void FileServer::serve(const std::string& directory) {
    base::UniqueFd root = base::open_file(directory, O_PATH | O_DIRECTORY);
    const std::lock_guard lock(impl_->root_mutex);
    impl_->root = std::move(root);
}

void FileServer::fail_after(std::optional<std::uint64_t> bytes) {
    impl_->left = static_cast<std::int64_t>(bytes.value_or(0));
    impl_->limited = bytes.has_value();
}

std::uint64_t FileServer::served() const noexcept {
    return impl_->served;
}

void FileServer::Impl::accept_loop() {
    while (true) {
        std::array<pollfd, 2> fds{{{listener.get(), POLLIN, 0}, {stop_event.get(), POLLIN, 0}}};
        if (::poll(fds.data(), fds.size(), -1) < 0)
            continue;
        if (fds[1].revents != 0)
            return;
        base::UniqueFd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!socket)
            continue;
        const int on = 1;
        ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        for (auto old = connections.begin(); old != connections.end();) {
            if (!old->done) {
                ++old;
                continue;
            }
            old->thread.join();
            old = connections.erase(old);
        }
        Connection& connection = connections.emplace_back();
        connection.socket = std::move(socket);
        connection.thread = std::thread([this, &connection] { serve(connection); });
    }
}

void FileServer::Impl::serve(Connection& connection) {
    const int socket = connection.socket.get();
    std::string received;
    while (!limited || left > 0) {
        std::size_t end = 0;
        while ((end = received.find("\r\n\r\n")) == std::string::npos && received.size() < header_limit) {
            std::array<char, 4096> chunk; // NOLINT(cppcoreguidelines-pro-type-member-init): filled by recv
            const ssize_t count = ::recv(socket, chunk.data(), chunk.size(), 0);
            if (count <= 0)
                break;
            received.append(chunk.data(), static_cast<std::size_t>(count));
        }
        if (end == std::string::npos)
            break;
        const RequestLine request = parse_request(std::string_view(received).substr(0, end + 2));
        received.erase(0, end + 4);
        if (!answer(socket, request))
            break;
    }
    ::shutdown(socket, SHUT_RDWR); // the descriptor itself is closed when the thread was joined
    connection.done = true;
}

bool FileServer::Impl::answer(int socket, const RequestLine& request) {
    const bool head = request.method == "HEAD";
    const auto refuse = [&](std::string_view status) {
        return send_all(socket, fmt::format("HTTP/1.1 {}\r\nContent-Length: 0\r\n\r\n", status)) && request.keep_alive;
    };
    if (request.method != "GET" && !head)
        return refuse(request.method.empty() ? "400 Bad Request" : "405 Method Not Allowed");
    const auto path = percent_decode(request.target.substr(0, request.target.find('?')));
    if (!path || !path->starts_with('/'))
        return refuse("400 Bad Request");
    base::UniqueFd file;
    struct stat info {};
    try {
        const std::lock_guard lock(root_mutex);
        file = base::open_beneath(root.get(), "." + *path, O_RDONLY | O_NONBLOCK);
    } catch (const base::Error&) {
        return refuse("404 Not Found");
    }
    if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode))
        return refuse("404 Not Found");
    const auto size = static_cast<std::uint64_t>(info.st_size);
    if (!send_all(socket, fmt::format("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                                      "Cache-Control: no-cache\r\nContent-Length: {}\r\n\r\n",
                                      size)))
        return false;
    ++served;
    return (head || send_file(socket, file.get(), size)) && request.keep_alive;
}

bool FileServer::Impl::send_all(int socket, std::string_view data) {
    while (!data.empty()) {
        const ssize_t count = ::send(socket, data.data(), data.size(), MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        data.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

bool FileServer::Impl::send_file(int socket, int file, std::uint64_t size) {
    std::vector<char> buffer(piece);
    while (size > 0) {
        const ssize_t count = ::read(file, buffer.data(), std::min<std::uint64_t>(piece, size));
        if (count <= 0)
            return false;
        auto bytes = static_cast<std::int64_t>(count);
        const bool broken = limited && (left -= bytes) < 0;
        if (broken)
            bytes = std::max<std::int64_t>(0, bytes + left);
        if (!send_all(socket, {buffer.data(), static_cast<std::size_t>(bytes)}) || broken)
            return false;
        size -= static_cast<std::uint64_t>(count);
    }
    return true;
}

} // namespace qemu
