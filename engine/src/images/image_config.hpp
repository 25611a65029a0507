// An image's configuration (OCI image-spec, config.md; docker's image JSON is a superset).
#pragma once
#include <string>

#include "engine/local_image_store.hpp"

namespace engine {

/// Reads a configuration; fills everything of the record but references, digests, size and lower_directories.
/// Throws base::Error: not JSON, no rootfs of layers, bad digests, not for Linux, more than 127 layers.
ImageRecord parse_image_config(const std::string& text);

/// The names of the layer stacks (OCI image-spec, config.md, "Layer ChainID").
std::vector<std::string> chain_ids_of(const std::vector<std::string>& diff_ids);

} // namespace engine
