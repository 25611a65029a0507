// The body of POST /containers/create becomes a ContainerConfig.
#pragma once
#include <set>
#include <string>
#include <string_view>

#include "engine/container.hpp"

namespace engine::api {

/// What a client asked for; nothing of the host was looked at yet.
struct CreateBody {
    /// Mounts of type `volume` have a name (empty: a new anonymous volume) and no source. network_mode and pid_mode
    /// have names of containers as they came.
    ContainerConfig config;
    std::set<std::string> exposed_ports;  ///< "80/tcp"
    std::set<std::string> create_sources; ///< targets of binds whose source is made when missing (`-v`, not `--mount`)
    std::set<std::string> no_copy;        ///< targets of volumes that do not take the image's content over
    bool publish_all = false;
};

/// Throws HttpError 400, naming the field, for what is wrong and for what Atoll cannot do: a container never gets less
/// than was asked for without a word. `api_data` is the body, for inspect.
CreateBody parse_create_body(std::string_view text);

/// "NAME=value" is checked here too, for exec. Throws HttpError 400.
void check_environment(const std::vector<std::string>& env);

/// The resources and the restart policy of POST /containers/{id}/update.
struct UpdateBody {
    std::optional<Resources> resources; ///< nullopt: none were named
    std::optional<RestartPolicy> restart;
};
/// `current`: fields that are not named keep their values. Throws HttpError 400.
UpdateBody parse_update_body(std::string_view text, const Resources& current);

} // namespace engine::api
