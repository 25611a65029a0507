// A small HTTP client on libcurl for our daemons and tools: unix sockets and mutual TLS.
#pragma once
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/host_config.hpp"

namespace base::http {

struct ClientRequest {
    std::string method = "GET";
    std::string target; ///< "/v1/units?x=y", already encoded
    std::string body;
    std::string content_type = "application/json";
    std::vector<std::string> headers;          ///< "Name: value"
    std::chrono::milliseconds timeout{30'000}; ///< of the whole exchange; 0: none, for streams
    /// Given up when less than a byte a millisecond came for so long; 0: never. For large bodies, in place of `timeout`.
    std::chrono::seconds stall{0};
    std::size_t limit = 16 * 1024 * 1024;      ///< bytes of the response body; more is an Error
    /// When set, parts of a 2xx body as they come; return false to end the exchange.
    std::function<bool(std::string_view)> on_data;
};

struct ClientResponse {
    long status = 0;
    std::string body; ///< empty when on_data took it
    bool ok() const noexcept { return status >= 200 && status < 300; }
};

/// One server. Not for several threads at once.
class Client {
public:
    /// "unix:/run/docker.sock", "https://host:port", or "http://host:port" (loopback and tests).
    explicit Client(std::string address, std::optional<TlsFiles> tls = std::nullopt);
    ~Client();
    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;

    /// Goes through this proxy ("http://host:port"). Proxies that the environment names are never used.
    void use_proxy(std::string url);

    /// Redirections are not followed: the address given is meant. Throws Error naming the address when there is no HTTP answer. Any status is returned.
    ClientResponse send(const ClientRequest& request);
    ClientResponse get(const std::string& target);
    ClientResponse post(const std::string& target, const std::string& body = {});

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Percent-encodes everything but RFC 3986's unreserved characters.
std::string url_encode(std::string_view text);

} // namespace base::http
