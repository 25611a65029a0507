// A connected byte stream: a unix socket, a TCP socket with TLS, or a plain descriptor.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"

namespace base::http {

/// Reading and writing may happen in two threads at once; each of them in one only.
class Stream {
public:
    virtual ~Stream() = default;
    /// Waits for data; 0 at the end of the peer's data. Throws Error (ETIMEDOUT after `read_timeout`).
    virtual std::size_t read(char* buffer, std::size_t size) = 0;
    /// Writes all of it. Throws Error (EPIPE when the peer is gone, ETIMEDOUT after 60 s without progress).
    virtual void write(std::string_view data) = 0;
    /// Tells the peer that nothing more comes (half close).
    virtual void shutdown_write() noexcept = 0;
    /// Ends both directions; a blocked read or write in another thread returns.
    virtual void abort() noexcept = 0;
    /// For poll(2) for the end of the connection only: with TLS, data may be waiting in our buffer.
    virtual int fd() const noexcept = 0;

    /// How long a read waits; nullopt (the default): for ever.
    void set_read_timeout(std::optional<std::chrono::milliseconds> timeout) noexcept { read_timeout_ = timeout; }

protected:
    std::optional<std::chrono::milliseconds> read_timeout_;
};

/// Who is at the other end.
struct Peer {
    std::optional<uid_t> uid; ///< of a unix socket's peer
    std::string tls_subject;  ///< the verified client certificate's common name
    std::string describe() const;
};

/// Takes the descriptor over (made non-blocking).
std::unique_ptr<Stream> socket_stream(UniqueFd fd);

} // namespace base::http
