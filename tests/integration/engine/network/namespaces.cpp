#include "namespaces.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <exception>
#include <thread>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"

namespace network_test {

namespace {

sockaddr_in socket_address(const std::string& address, unsigned port) {
    sockaddr_in result{};
    result.sin_family = AF_INET;
    result.sin_port = htons(static_cast<std::uint16_t>(port));
    if (inet_pton(AF_INET, address.c_str(), &result.sin_addr) != 1)
        throw base::Error("bad address " + address);
    return result;
}

std::string shown(const sockaddr_in& address) {
    char text[INET_ADDRSTRLEN];
    return inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
}

void in_namespace(const Namespace* where, const std::function<void()>& function) {
    if (where == nullptr)
        function();
    else
        where->run(function);
}

} // namespace

void enter_own_namespace() {
    static const bool done = [] {
        base::check(unshare(CLONE_NEWNET), "unshare");
        base::run_checked({"ip", "link", "set", "lo", "up"});
        return true;
    }();
    static_cast<void>(done);
}

Namespace::Namespace() {
    int ready[2];
    base::check(pipe2(ready, O_CLOEXEC), "pipe2");
    const base::UniqueFd read_end(ready[0]);
    base::UniqueFd write_end(ready[1]);
    pid_ = base::check(fork(), "fork");
    if (pid_ == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (unshare(CLONE_NEWNET) < 0 || write(write_end.get(), "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    write_end.reset();
    char byte = 0;
    if (read(read_end.get(), &byte, 1) != 1)
        throw base::Error("the namespace's process failed");
}

Namespace::~Namespace() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
}

void Namespace::run(const std::function<void()>& function) const {
    std::exception_ptr failure;
    std::thread([&] {
        try {
            const base::UniqueFd target = base::open_file(path(), O_RDONLY);
            base::check(setns(target.get(), CLONE_NEWNET), "setns");
            function();
        } catch (...) {
            failure = std::current_exception();
        }
    }).join();
    if (failure)
        std::rethrow_exception(failure);
}

std::string Namespace::output(const std::string& shell_command) const {
    std::string output;
    run([&] { output = base::run_checked({"sh", "-c", shell_command}); });
    return output;
}

struct Server::Running {
    base::UniqueFd socket, stop;
    std::string name;
    bool udp = false;
    std::thread thread;

    void serve() const {
        for (;;) {
            pollfd waits[] = {{socket.get(), POLLIN, 0}, {stop.get(), POLLIN, 0}};
            poll(waits, 2, -1);
            if (waits[1].revents != 0)
                return;
            answer();
        }
    }
    void answer() const {
        sockaddr_in peer{};
        socklen_t length = sizeof peer;
        auto* const address = reinterpret_cast<sockaddr*>(&peer);
        if (udp) {
            char byte = 0;
            if (recvfrom(socket.get(), &byte, 1, 0, address, &length) < 0)
                return;
            const std::string text = name + " " + shown(peer);
            sendto(socket.get(), text.data(), text.size(), 0, address, length);
            return;
        }
        const base::UniqueFd connection(accept4(socket.get(), address, &length, SOCK_CLOEXEC));
        const std::string text = name + " " + shown(peer);
        if (connection)
            send(connection.get(), text.data(), text.size(), MSG_NOSIGNAL);
    }
};

Server::Server(const Namespace* where, const std::string& address, unsigned port, const std::string& name, bool udp)
    : running_(std::make_unique<Running>()) {
    in_namespace(where, [&] {
        running_->socket.reset(
            base::check(socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0), "socket"));
        const int yes = 1;
        setsockopt(running_->socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        const sockaddr_in bound = socket_address(address, port);
        base::check(bind(running_->socket.get(), reinterpret_cast<const sockaddr*>(&bound), sizeof bound),
                    "bind " + address);
        if (!udp)
            base::check(listen(running_->socket.get(), 8), "listen");
    });
    running_->stop.reset(base::check(eventfd(0, EFD_CLOEXEC), "eventfd"));
    running_->name = name;
    running_->udp = udp;
    running_->thread = std::thread([running = running_.get()] { running->serve(); });
}

Server::~Server() {
    eventfd_write(running_->stop.get(), 1);
    running_->thread.join();
}

namespace {

std::string ask_for(const Namespace* from, const std::string& address, unsigned port, bool udp, int milliseconds) {
    std::string answer;
    in_namespace(from, [&] {
        const base::UniqueFd client(
            base::check(socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
        const sockaddr_in target = socket_address(address, port);
        if (connect(client.get(), reinterpret_cast<const sockaddr*>(&target), sizeof target) < 0 &&
            errno != EINPROGRESS) {
            answer = "error: " + std::generic_category().message(errno);
            return;
        }
        if (udp)
            send(client.get(), "?", 1, MSG_NOSIGNAL);
        pollfd wait{client.get(), POLLIN, 0};
        if (poll(&wait, 1, milliseconds) == 0) {
            answer = "error: timeout";
            return;
        }
        char buffer[256];
        const ssize_t size = recv(client.get(), buffer, sizeof buffer, 0);
        answer = size < 0 ? "error: " + std::generic_category().message(errno)
                          : std::string(buffer, static_cast<std::size_t>(size));
    });
    return answer;
}

} // namespace

std::string ask(const Namespace* from, const std::string& address, unsigned port, bool udp) {
    return ask_for(from, address, port, udp, 60'000);
}

std::string ask_in_vain(const Namespace* from, const std::string& address, unsigned port) {
    return ask_for(from, address, port, false, 1000);
}

} // namespace network_test
