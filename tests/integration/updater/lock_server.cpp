#include "lock_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/json.hpp"

namespace updater_test {

LockServer::LockServer() {
    listener_.reset(base::check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    struct sockaddr_in address {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    base::check(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), "bind");
    base::check(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
    port_ = ntohs(address.sin_port);
    base::check(::listen(listener_.get(), 8), "listen");
    thread_ = std::thread([this] { serve(); });
}

LockServer::~LockServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
}

std::string LockServer::url() const {
    return fmt::format("http://127.0.0.1:{}/base/", port_);
}

std::string LockServer::owner() const {
    const std::lock_guard guard(mutex_);
    return owner_;
}

void LockServer::set_owner(const std::string& id) {
    const std::lock_guard guard(mutex_);
    owner_ = id;
}

std::vector<std::string> LockServer::mistakes() const {
    const std::lock_guard guard(mutex_);
    return mistakes_;
}

unsigned LockServer::requests() const {
    const std::lock_guard guard(mutex_);
    return requests_;
}

void LockServer::serve() {
    for (;;) {
        const base::UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!fd)
            return;
        answer(fd.get());
    }
}

void LockServer::answer(int fd) {
    std::string text;
    std::array<char, 4096> buffer;
    std::size_t head = std::string::npos;
    std::size_t length = 0;
    while (head == std::string::npos || text.size() < head + 4 + length) {
        const ssize_t size = ::read(fd, buffer.data(), buffer.size());
        if (size <= 0)
            return;
        text.append(buffer.data(), static_cast<std::size_t>(size));
        head = text.find("\r\n\r\n");
        if (const std::size_t field = text.find("Content-Length: "); field != std::string::npos)
            length = std::stoul(text.substr(field + 16));
    }
    const std::lock_guard guard(mutex_);
    ++requests_;
    const std::string id(base::parse_json(text.substr(head + 4), "body").at("client_params").at("id").as_string());
    std::string status = "200 OK";
    std::string body;
    if (text.find("\r\nfleet-lock-protocol: true\r\n") == std::string::npos)
        mistakes_.push_back("no fleet-lock-protocol: " + text);
    if (text.starts_with("POST /base/v1/pre-reboot ")) {
        if (owner_.empty())
            owner_ = id;
        if (owner_ != id) {
            status = "409 Conflict";
            body = R"({"kind":"failed_lock_semaphore_full","value":"the slot is taken"})";
        }
    } else if (text.starts_with("POST /base/v1/steady-state ")) {
        if (owner_ == id)
            owner_.clear();
    } else {
        mistakes_.push_back(text);
    }
    const std::string response =
        fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}", status, body.size(), body);
    if (::write(fd, response.data(), response.size()) < 0)
        return;
}

} // namespace updater_test
