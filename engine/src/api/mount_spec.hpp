// Mounts in the three ways docker's clients write them: HostConfig.Binds, .Mounts and .Tmpfs.
#pragma once
#include <string>

#include "api/create_body.hpp"

namespace base {
class JsonObject;
}

namespace engine::api {

/// Adds the mounts of a HostConfig and the anonymous volumes of Config.Volumes. Throws HttpError 400 for a relative
/// path, "..", the target "/", an unknown option, a destination that is there twice.
void add_mounts(const base::JsonObject& config, const base::JsonObject* host_config, CreateBody& body);

/// Docker's names of volumes: [a-zA-Z0-9][a-zA-Z0-9_.-]*, at most 255 bytes.
bool is_volume_name(std::string_view name) noexcept;

} // namespace engine::api
