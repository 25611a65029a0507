// Pieces of a container's JSON that list and inspect share. Heavy: for .cpp files only.
#pragma once
#include "api/json_answer.hpp"
#include "engine/container.hpp"

namespace engine::api {

json::array mounts_json(const ContainerConfig& config);
/// {"bridge": {"IPAddress": ...}}; the network is named even when the container does not run.
json::object networks_json(const Context& context, const ContainerInfo& info);
/// What HostConfig the client gave, brought up to date; for containers that were not made by the API what their
/// configuration says.
json::object host_config_json(const ContainerInfo& info);
/// The create body as it came in; empty for containers that were not made by the API.
json::object original_body(const ContainerConfig& config);

} // namespace engine::api
