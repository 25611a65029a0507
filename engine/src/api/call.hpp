// One request on its way through the API, and what all handlers need.
#pragma once
#include <atomic>
#include <string>
#include <vector>

#include "base/http/server.hpp"
#include "engine/engine.hpp"
#include "engine/local_image_store.hpp"

namespace engine::api {

class VolumeStore;

/// What handlers work on; lives as long as the server.
struct Context {
    Engine& engine;
    LocalImageStore& images;
    Networks& networks;
    VolumeStore& volumes;
    std::atomic<bool> stopping = false; ///< long streams end
};

struct Call {
    Context& context;
    base::http::Request& request;
    base::http::Response& response;
    Caller caller;
    unsigned minor_version;              ///< 41 for /v1.41/...; the newest without a prefix
    std::vector<std::string> parameters; ///< what the pattern's {...} matched

    const std::string& parameter(std::size_t index = 0) const { return parameters.at(index); }
    /// True when the stream should end: the client went away or the server stops.
    bool ended() const { return context.stopping || response.client_gone(); }
};

inline constexpr unsigned newest_minor = 45;
inline constexpr unsigned oldest_minor = 24;

using base::http::HttpError;

/// An unsigned query value. Throws HttpError 400 for other text.
unsigned query_number(const base::http::Request& request, const std::string& key, unsigned fallback);

/// Reads what the client still sends, up to 1 GiB, and forgets it: a client that is cut off while it writes does not
/// read why. Never throws.
void drain_body(base::http::Request& request) noexcept;

} // namespace engine::api
