#include "base/http/server.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <list>
#include <mutex>
#include <thread>

#include "base/log.hpp"
#include "connection.hpp"
#include "tls_stream.hpp"

namespace base::http {
namespace {

constexpr int backlog = 128;

struct Listener {
    UniqueFd fd;
    Handler handler;
    std::string unix_path;           ///< removed at the end
    std::unique_ptr<TlsContext> tls; ///< nullptr on unix sockets
};

UniqueFd bind_unix(const std::string& path, mode_t mode) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        throw Error("listen on " + path + ": path too long for a unix socket");
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    UniqueFd fd(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        throw_errno("remove old socket " + path);
    // Nobody may connect between bind and chmod: the mode counts from the beginning.
    check(::fchmod(fd.get(), mode), "chmod socket " + path);
    check(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "listen on " + path);
    check(::chmod(path.c_str(), mode), "chmod " + path);
    check(::listen(fd.get(), backlog), "listen on " + path);
    return fd;
}

UniqueFd bind_tcp(const std::string& address) {
    const auto colon = address.rfind(':');
    if (colon == std::string::npos)
        throw Error("listen on " + address + ": expected ADDRESS:PORT");
    std::string host = address.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int failure =
        ::getaddrinfo(host.empty() ? nullptr : host.c_str(), address.c_str() + colon + 1, &hints, &found);
    if (failure != 0)
        throw Error(fmt::format("listen on {}: {}", address, ::gai_strerror(failure)));
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
    UniqueFd fd(check(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
    const int on = 1;
    check(::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "setsockopt");
    check(::bind(fd.get(), found->ai_addr, found->ai_addrlen), "listen on " + address);
    check(::listen(fd.get(), backlog), "listen on " + address);
    return fd;
}

} // namespace

struct Server::Impl {
    struct Connection {
        std::thread thread;
        int fd = -1; ///< for stop(); -1 once the thread has closed it
        bool done = false;
    };

    explicit Impl(Options set) : options(set), wake(check(::eventfd(0, EFD_CLOEXEC), "eventfd")) {}

    void accept_loop();
    void accept_one(const Listener& listener);
    void serve(const Listener& listener, UniqueFd fd, Connection& connection);
    void join_done();

    Options options;
    std::vector<std::unique_ptr<Listener>> listeners;
    UniqueFd wake;
    std::thread acceptor;
    std::mutex mutex;                  ///< guards what follows
    std::list<Connection> connections; ///< a list: connections keep their address
    bool stopping = false;
};

void Server::Impl::accept_loop() {
    std::vector<pollfd> fds{{wake.get(), POLLIN, 0}};
    for (const auto& listener : listeners)
        fds.push_back({listener->fd.get(), POLLIN, 0});
    for (;;) {
        if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) {
            log_error("http server: poll failed error={}", errno);
            return;
        }
        if (fds[0].revents != 0)
            return;
        join_done();
        for (std::size_t i = 0; i < listeners.size(); ++i) {
            if (fds[i + 1].revents != 0)
                accept_one(*listeners[i]);
        }
    }
}

void Server::Impl::accept_one(const Listener& listener) {
    UniqueFd fd(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
        // Out of descriptors: give the threads a moment to close some, instead of spinning on poll.
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            ::poll(nullptr, 0, 50);
        return;
    }
    const std::scoped_lock lock(mutex);
    if (connections.size() >= options.max_connections) {
        log_warning("http server: connection refused, limit reached limit={}", options.max_connections);
        return;
    }
    Connection& connection = connections.emplace_back();
    connection.fd = fd.get();
    try {
        connection.thread = std::thread(
            [this, &listener, &connection, taken = fd.get()] { serve(listener, UniqueFd(taken), connection); });
        fd.release(); // the thread owns it
    } catch (const std::system_error& error) {
        connections.pop_back();
        log_error("http server: no thread for a connection: {}", error.what());
    }
}

void Server::Impl::serve(const Listener& listener, UniqueFd fd, Connection& connection) {
    try {
        Peer peer;
        std::unique_ptr<Stream> stream;
        if (listener.tls) {
            stream = listener.tls->accept(std::move(fd), peer.tls_subject);
        } else {
            ucred credentials{};
            socklen_t size = sizeof credentials;
            check(::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size), "peer credentials");
            peer.uid = credentials.uid;
            stream = socket_stream(std::move(fd));
        }
        serve_connection(*stream, peer, listener.handler);
        const std::scoped_lock lock(mutex); // stop() must not shut down a number that is used again
        connection.fd = -1;
        stream.reset();
    } catch (const std::exception& error) {
        log_debug("connection refused: {}", error_chain(error));
    }
    const std::scoped_lock lock(mutex);
    connection.fd = -1;
    connection.done = true;
}

void Server::Impl::join_done() {
    std::list<Connection> done;
    {
        const std::scoped_lock lock(mutex);
        for (auto it = connections.begin(); it != connections.end();) {
            const auto next = std::next(it);
            if (it->done)
                done.splice(done.end(), connections, it);
            it = next;
        }
    }
    for (Connection& connection : done)
        connection.thread.join();
}

Server::Server(Options options) : impl_(std::make_unique<Impl>(options)) {}

Server::~Server() {
    stop();
}

void Server::listen_unix(const std::string& path, mode_t mode, Handler handler) {
    auto listener = std::make_unique<Listener>();
    listener->fd = bind_unix(path, mode);
    listener->handler = std::move(handler);
    listener->unix_path = path;
    impl_->listeners.push_back(std::move(listener));
}

void Server::listen_tls(const ListenConfig& listen, Handler handler) {
    auto listener = std::make_unique<Listener>();
    listener->tls = std::make_unique<TlsContext>(listen.tls);
    listener->fd = bind_tcp(listen.address);
    listener->handler = std::move(handler);
    impl_->listeners.push_back(std::move(listener));
}

void Server::start() {
    impl_->acceptor = std::thread([this] { impl_->accept_loop(); });
}

void Server::stop() noexcept {
    if (impl_->stopping)
        return;
    impl_->stopping = true;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t ignored = ::write(impl_->wake.get(), &one, sizeof one);
    if (impl_->acceptor.joinable())
        impl_->acceptor.join();
    for (const auto& listener : impl_->listeners) {
        listener->fd.reset();
        if (!listener->unix_path.empty())
            ::unlink(listener->unix_path.c_str());
    }
    {
        const std::scoped_lock lock(impl_->mutex);
        for (const Impl::Connection& connection : impl_->connections) {
            if (connection.fd >= 0)
                ::shutdown(connection.fd, SHUT_RDWR);
        }
    }
    for (Impl::Connection& connection : impl_->connections)
        connection.thread.join();
    impl_->connections.clear();
}

} // namespace base::http
