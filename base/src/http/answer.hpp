// A server's answer, read from a connection.
#pragma once
#include "base/http/client.hpp"
#include "base/http/stream.hpp"

namespace base::http {

/// Of the request only limit, method and timeout count. Throws Error when what comes is no whole HTTP answer.
ClientResponse read_answer(Stream& stream, const ClientRequest& request);

} // namespace base::http
