// What a new container takes from its image, and what is checked of it.
#pragma once
#include <string>

#include "engine/container.hpp"
#include "engine/image_store.hpp"

namespace engine {

/// Fills what the configuration leaves empty, by Docker's rules: an entrypoint of its own drops the image's command;
/// an entrypoint of one empty text means none at all.
void apply_image_defaults(ContainerConfig& config, const ImageInfo& image);

/// Throws EngineError for what cannot work or is not supported.
void check_container_config(const ContainerConfig& config);

/// True when network_mode is a network's name.
bool names_network(const ContainerConfig& config);

/// "brave_otter"
std::string make_up_name();

} // namespace engine
