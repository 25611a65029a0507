// echod: sends back what it gets on TCP port 7 (RFC 862). The example of a service carried as a container image:
// static, no configuration, no privilege but the port.
//
//   echod [PORT]
#include <netinet/in.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

constexpr std::size_t max_connections = 64;
constexpr std::size_t first_connection = 2; // after the signals and the listener

/// A connection and what it has sent that is not back yet.
struct Connection {
    char data[4096];
    std::size_t begin = 0;
    std::size_t end = 0;
};

int fail(const char* operation) {
    std::fprintf(stderr, "echod: %s: %s\n", operation, std::strerror(errno));
    return 1;
}

int listen_on(unsigned port) {
    const int fd = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int yes = 1;
    const int no = 0;
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(static_cast<in_port_t>(port));
    address.sin6_addr = in6addr_any;
    if (fd < 0 || ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no) < 0 ||
        ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 || ::listen(fd, 16) < 0)
        return -1;
    return fd;
}

/// Reads when all is sent back, else sends. False when the connection has ended.
bool serve(int fd, Connection& connection) {
    if (connection.begin == connection.end) {
        const ssize_t got = ::recv(fd, connection.data, sizeof connection.data, 0);
        if (got <= 0)
            return got < 0 && (errno == EAGAIN || errno == EINTR);
        connection.begin = 0;
        connection.end = static_cast<std::size_t>(got);
    }
    const ssize_t sent =
        ::send(fd, connection.data + connection.begin, connection.end - connection.begin, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR;
    connection.begin += static_cast<std::size_t>(sent);
    return true;
}

void serve_all(std::vector<pollfd>& polled, std::vector<Connection>& connections) {
    for (std::size_t i = polled.size(); i-- > first_connection;) {
        Connection& connection = connections[i - first_connection];
        if (polled[i].revents == 0)
            continue;
        if (serve(polled[i].fd, connection)) {
            polled[i].events = connection.begin == connection.end ? POLLIN : POLLOUT;
            continue;
        }
        ::close(polled[i].fd);
        polled[i] = polled.back();
        polled.pop_back();
        connection = connections.back();
        connections.pop_back();
    }
}

int run(int listener, int signals) {
    std::vector<pollfd> polled{{signals, POLLIN, 0}, {listener, POLLIN, 0}};
    std::vector<Connection> connections;
    while (true) {
        polled[1].events = connections.size() < max_connections ? POLLIN : 0; // the rest waits in the backlog
        if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR)
            return fail("poll");
        if (polled[0].revents != 0)
            return 0;
        serve_all(polled, connections);
        if (polled[1].revents != 0) {
            const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
            if (fd >= 0) {
                polled.push_back({fd, POLLIN, 0});
                connections.emplace_back();
            }
        }
    }
}

} // namespace

int main(int argc, char** argv) {
    const long port = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 7;
    if (argc > 2 || port < 1 || port > 65535) {
        std::fprintf(stderr, "usage: echod [PORT]\n");
        return 2;
    }
    sigset_t ending;
    ::sigemptyset(&ending);
    ::sigaddset(&ending, SIGTERM);
    ::sigaddset(&ending, SIGINT);
    ::sigprocmask(SIG_BLOCK, &ending, nullptr);
    const int signals = ::signalfd(-1, &ending, SFD_CLOEXEC);
    if (signals < 0)
        return fail("signalfd");
    const int listener = listen_on(static_cast<unsigned>(port));
    if (listener < 0)
        return fail("listen");
    std::printf("echod: listening on port %ld\n", port);
    std::fflush(stdout);
    return run(listener, signals);
}
