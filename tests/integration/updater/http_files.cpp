#include "http_files.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/error.hpp"
#include "base/files.hpp"

namespace updater_test {

HttpFiles::HttpFiles(std::string directory) : directory_(std::move(directory)) {
    listener_.reset(base::check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    base::check(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), "bind");
    base::check(::listen(listener_.get(), 64), "listen");
    base::check(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
}

HttpFiles::~HttpFiles() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
}

std::string HttpFiles::url() const {
    return fmt::format("http://127.0.0.1:{}", port_);
}

std::vector<std::string> HttpFiles::requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
}

void HttpFiles::forget_requests() {
    const std::lock_guard lock(mutex_);
    requests_.clear();
    bytes_ = 0;
}

void HttpFiles::behave(Evil evil) {
    const std::lock_guard lock(mutex_);
    evil_ = std::move(evil);
}

bool HttpFiles::send(int connection, std::string_view data) {
    while (!data.empty()) {
        const ssize_t sent = ::send(connection, data.data(), data.size(), MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

void HttpFiles::serve() {
    for (;;) {
        base::UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!peer)
            return;
        if (stalled_) {
            held_.push_back(std::move(peer));
            continue;
        }
        held_.clear();
        try {
            answer(peer.get());
        } catch (const base::Error&) {
            continue; // the client went away
        }
    }
}

void HttpFiles::answer(int fd) {
    std::string request;
    std::array<char, 4096> buffer;
    while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t size = ::recv(fd, buffer.data(), buffer.size(), 0);
        if (size <= 0)
            return;
        request.append(buffer.data(), static_cast<std::size_t>(size));
    }
    const std::size_t start = request.find(' ') + 1;
    const std::string path = request.substr(start, request.find_first_of(" ?", start) - start);
    {
        const std::lock_guard lock(mutex_);
        requests_.push_back(path);
    }
    if (answers_left_ == 0)
        return;
    Evil evil;
    {
        const std::lock_guard lock(mutex_);
        evil = evil_;
    }
    if (evil && evil(path, fd))
        return;
    if (answers_left_ > 0)
        --answers_left_;
    const auto body = base::read_file_if_exists(directory_ + path, std::size_t{1} << 30);
    const std::string head = fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                                         body ? "200 OK" : "404 Not Found", body ? body->size() : 0);
    if (send(fd, head) && body && send(fd, *body))
        bytes_ += body->size();
}

} // namespace updater_test
