// The Docker Engine API (1.24 to 1.45) over an Engine: docker.sock, the root socket, and TCP with mutual TLS.
//
//   engine::ApiServer api({.tcp = host_config.engine}, engine, images, networks);   // binds
//   api.start();                                                                   // serves
//   ...
//   api.stop();
#pragma once
#include <memory>
#include <optional>
#include <string>

#include <sys/types.h>

#include "base/host_config.hpp"

namespace engine {

class Engine;
class LocalImageStore;
class Networks;

struct ApiOptions {
    std::string docker_socket = "/run/atoll/docker.sock"; ///< system containers are read-only here; empty: none
    mode_t docker_socket_mode = 0660;
    std::string root_socket = "/run/atoll/engine.sock"; ///< mode 0600: may change system containers; empty: none
    std::optional<base::ListenConfig> tcp;
    std::string volumes_directory = "/var/lib/atoll/engine/volumes";
};

class ApiServer {
public:
    /// Binds the sockets. Throws base::Error. What it is given outlives it.
    ApiServer(ApiOptions options, Engine& engine, LocalImageStore& images, Networks& networks);
    ~ApiServer(); ///< stop()
    void start();
    /// Ends all connections; returns when their threads have ended.
    void stop() noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace engine
