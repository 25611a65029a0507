// The server's side of init.sock: a fixed number of connections, messages checked before anybody acts on them.
#pragma once
#include <poll.h>
#include <sys/types.h>

#include <array>
#include <cstddef>
#include <span>

#include "base/unique_fd.hpp"
#include "clock.hpp"
#include "init/protocol.hpp"

namespace init {

/// Who asks.
struct Caller {
    pid_t pid = 0;
    bool engine = false; ///< on the connection that engined was started with
};

/// Does what a request asks for. Fills error, argument, payload and length of `answer`.
class RequestHandler {
public:
    virtual void handle(const Message& request, const Caller& caller, Message& answer) noexcept = 0;

protected:
    ~RequestHandler() = default;
};

/// Whether a packet of `size` bytes is a request: 0, or the errno value to answer with.
int check_request(const Message& request, std::size_t size) noexcept;

class ControlSocket {
public:
    static constexpr std::size_t max_connections = 16;
    /// Connections and the listener.
    static constexpr std::size_t max_polled = max_connections + 1;

    /// Listens at `path` with mode 0600; what was there is removed. Returns 0 or an errno value.
    int listen(const char* path) noexcept;
    /// Makes the pair for a new engined, closing the connection of the one before. Returns the other end; empty
    /// when that failed (errno).
    base::UniqueFd connect_engine() noexcept;

    /// Fills in what to poll for; returns how many entries.
    std::size_t prepare_poll(std::span<pollfd> entries) noexcept;
    /// Serves those of the entries that `prepare_poll` filled in and that are ready.
    void serve(std::span<const pollfd> entries, RequestHandler& handler) noexcept;

private:
    struct Connection {
        base::UniqueFd fd;
        Caller caller;
        Msec last_used = 0;
    };
    void accept_one() noexcept;
    static void serve_one(Connection& connection, RequestHandler& handler) noexcept;
    Connection& free_connection() noexcept;

    base::UniqueFd listener_;
    std::array<Connection, max_connections> connections_;
};

} // namespace init
