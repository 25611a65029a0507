// A small blocking HTTP/1.1 server (RFC 9110, 9112) on Boost.Beast's parser: one thread a connection, handlers that
// read as straight lines, streams that can be taken over. Made for control APIs on unix sockets and mutual TLS.
// Limits: 16 KiB of header, 30 s to send a header, `max_connections`; bodies are read by the handler with its own
// limit.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/host_config.hpp"
#include "base/http/stream.hpp"

namespace base::http {

/// Thrown by a handler: answered as {"message": "..."} with this status.
class HttpError : public Error {
public:
    HttpError(unsigned status, std::string message) : Error(std::move(message)), status_(status) {}
    unsigned status() const noexcept { return status_; }

private:
    unsigned status_;
};

class Request {
public:
    virtual ~Request() = default;
    std::string method;                                ///< "GET"
    std::string path;                                  ///< percent-decoded, without the query: "/v1.41/containers/json"
    std::map<std::string, std::string> query;          ///< decoded; of a repeated key the last
    std::multimap<std::string, std::string> query_all; ///< decoded, repeated keys kept
    Peer peer;

    /// A header field, by its name in any case; empty when missing.
    virtual std::string header(std::string_view name) const = 0;
    /// Next part of the body; 0 at its end. Throws HttpError 400 on a bad or broken-off body.
    virtual std::size_t read_body(char* buffer, std::size_t size) = 0;
    /// All of the body. Throws HttpError 413 above `limit`.
    std::string body(std::size_t limit = 4 * 1024 * 1024);
    /// A query value, `fallback` when missing.
    std::string query_value(const std::string& key, std::string fallback = {}) const;
    /// Docker's idea of true: "1", "true", "True"; missing or anything else is false.
    bool query_flag(const std::string& key) const;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

class Response {
public:
    virtual ~Response() = default;
    /// A whole response.
    virtual void send(unsigned status, std::string_view body, std::string_view content_type = "application/json",
                      const Headers& headers = {}) = 0;
    /// Sends the header of a response of unknown length (chunked) at once; then `write`, then `end`.
    virtual void begin(unsigned status, std::string_view content_type, const Headers& headers = {}) = 0;
    /// A chunk, sent at once. Throws Error when the client is gone.
    virtual void write(std::string_view data) = 0;
    virtual void end() = 0;
    /// Takes the connection over: writes `head` (a raw status line and header, "" for none) and returns the stream,
    /// which first gives what was read ahead. The server only closes it when the handler returns.
    virtual Stream& hijack(std::string_view head) = 0;
    virtual bool started() const noexcept = 0;
    /// True when the client has gone away: long streams ask now and then.
    virtual bool client_gone() const noexcept = 0;
    /// For poll(2): POLLRDHUP|POLLHUP tells that the client went away.
    virtual int fd() const noexcept = 0;
    /// Fields put into every response ("Server", "Api-Version").
    Headers common_headers;
};

/// Called in the connection's thread. An exception becomes a JSON error (HttpError's status, otherwise 500).
using Handler = std::function<void(Request&, Response&)>;

class Server {
public:
    struct Options {
        unsigned max_connections = 512;
    };
    explicit Server(Options options);
    Server() : Server(Options{}) {}
    ~Server(); ///< stop()

    /// Binds at once (a stale socket file is replaced) and serves from `start` on. Throws Error.
    void listen_unix(const std::string& path, mode_t mode, Handler handler);
    /// Mutual TLS, 1.2 or newer: only clients whose certificate the CA signed get as far as HTTP.
    void listen_tls(const ListenConfig& listen, Handler handler);

    /// Starts the accepting thread.
    void start();
    /// Stops accepting, aborts the connections, joins the threads.
    void stop() noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace base::http
