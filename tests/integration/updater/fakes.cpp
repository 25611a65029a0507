#include "fakes.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.hpp"
#include "init/protocol.hpp"

namespace updater_test {

FakeEngine::FakeEngine(const std::string& socket) {
    server_.listen_unix(socket, 0600, [this](base::http::Request& request, base::http::Response& response) {
        if (request.path == "/atoll/v1/health") {
            response.send(200, report());
        } else if (request.path == "/containers/json" && request.query_value("all") == "1" &&
                   request.query_value("filters") == R"({"label":["atoll.system=network"]})") {
            response.send(200, R"([{"Id":"abc","Names":["/network"]}])");
        } else if (request.path == "/containers/abc/logs") {
            std::string body;
            for (const std::string line : {"starting\n", "no \x1b[31mlease\n"})
                body += std::string("\x01\0\0\0\0\0\0", 7) + static_cast<char>(line.size()) + line;
            response.send(200, body, "application/octet-stream");
        } else {
            response.send(404, R"({"message":"no"})");
        }
    });
    server_.start();
}

FakeEngine::~FakeEngine() {
    server_.stop();
}

void FakeEngine::set(const std::string& state, const std::string& health) {
    const std::lock_guard lock(mutex_);
    state_ = state;
    health_ = health;
}

std::string FakeEngine::report() const {
    const std::lock_guard lock(mutex_);
    const bool healthy = state_ == "running" && health_ == "healthy";
    return fmt::format(R"({{"healthy":{},"services":[)"
                       R"({{"name":"network","required":true,"state":"{}","health":"{}","restarts":0,"detail":"why"}},)"
                       R"({{"name":"updater","required":true,"state":"running","health":"starting","restarts":0}},)"
                       R"({{"name":"echo","required":false,"state":"failed","health":"","restarts":9}}]}})",
                       healthy, state_, health_);
}

FakeInit::FakeInit(const std::string& socket) {
    listener_.reset(base::check(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), "socket"));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(socket.begin(), socket.end(), address.sun_path);
    base::check(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), "bind");
    base::check(::listen(listener_.get(), 8), "listen");
    thread_ = std::thread([this] { serve(); });
}

FakeInit::~FakeInit() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
}

std::vector<std::string> FakeInit::good_revisions() const {
    const std::lock_guard lock(mutex_);
    return good_;
}

std::vector<std::string> FakeInit::reboots() const {
    const std::lock_guard lock(mutex_);
    return reboots_;
}

std::vector<std::uint64_t> FakeInit::trials() const {
    const std::lock_guard lock(mutex_);
    return trials_;
}

std::vector<std::uint64_t> FakeInit::boot_loader_jobs() const {
    const std::lock_guard lock(mutex_);
    return boot_loader_jobs_;
}

void FakeInit::on_boot_loader(std::function<void()> job) {
    const std::lock_guard lock(mutex_);
    on_boot_loader_ = std::move(job);
}

void FakeInit::serve() {
    for (;;) {
        const base::UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!peer)
            return;
        init::Message message{};
        while (::recv(peer.get(), &message, sizeof message, 0) == static_cast<ssize_t>(sizeof message)) {
            const std::string text(reinterpret_cast<const char*>(message.payload), message.length);
            {
                const std::lock_guard lock(mutex_);
                if (message.operation == static_cast<std::uint16_t>(init::Operation::revision_good))
                    good_.push_back(text);
                else if (message.operation == static_cast<std::uint16_t>(init::Operation::reboot))
                    reboots_.push_back(text);
                else if (message.operation == static_cast<std::uint16_t>(init::Operation::trial_length))
                    trials_.push_back(message.argument);
                else if (message.operation == static_cast<std::uint16_t>(init::Operation::boot_loader)) {
                    boot_loader_jobs_.push_back(message.argument);
                    if (on_boot_loader_)
                        on_boot_loader_();
                }
            }
            message.length = 0;
            message.error = 0;
            ::send(peer.get(), &message, sizeof message, MSG_NOSIGNAL);
        }
    }
}

} // namespace updater_test
