// An HTTP client for daemons on the same host: over unix sockets, without libcurl and the thirty libraries that come
// with it (3 MB of a process that always runs).
#pragma once
#include <string>

#include "base/http/client.hpp"

namespace base::http {

class LocalClient {
public:
    /// "unix:/run/docker.sock". Throws Error for any other address.
    explicit LocalClient(std::string address);

    /// As Client::send; a connection for each request. `on_data` and `stall` are not for it: a request with them is an
    /// Error.
    ClientResponse send(const ClientRequest& request) const;

private:
    std::string address_; ///< for messages
    std::string path_;
};

} // namespace base::http
