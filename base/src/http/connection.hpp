// One HTTP/1.1 connection of the server: requests one after the other, until either side ends it.
#pragma once
#include "base/http/server.hpp"

namespace base::http {

/// Serves requests on `stream` until the peer closes, an error ends it, or a handler hijacked it.
void serve_connection(Stream& stream, const Peer& peer, const Handler& handler);

} // namespace base::http
