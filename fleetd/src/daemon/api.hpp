// The HTTP API /v1, see DESIGN.md.
#pragma once
#include "base/http/server.hpp"
#include "daemon/engine_api.hpp"
#include "daemon/unit_registry.hpp"

namespace fleet {

/// Thread-safe. What it is given outlives it.
class Api {
public:
    Api(Store& store, UnitRegistry& registry, std::string host, EngineFactory connect)
        : store_(store), registry_(registry), host_(std::move(host)), connect_(std::move(connect)) {}

    void handle(base::http::Request& request, base::http::Response& response);

private:
    void handle_unit(base::http::Request& request, base::http::Response& response, const std::string& name,
                     const std::string& what);
    void put_unit(base::http::Request& request, base::http::Response& response, const std::string& name);
    std::string logs(const base::http::Request& request, const std::string& name);

    Store& store_;
    UnitRegistry& registry_;
    std::string host_; ///< id of this host
    EngineFactory connect_;
};

} // namespace fleet
