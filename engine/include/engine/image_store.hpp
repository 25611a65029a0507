// What the engine needs of images. Implemented by the API's part, which also loads, pulls, tags and removes them.
//
// The engine mounts a container's overlay itself: `lower_directories` below, upper and work in the container's
// directory. An image in use is not removed: whoever removes one looks for its id in Engine::list() first.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/container.hpp"

namespace engine {

/// The part of an image's configuration that a container takes over (OCI image specification, config.md).
struct ImageConfig {
    std::vector<std::string> entrypoint;
    std::vector<std::string> command;
    std::vector<std::string> env;
    std::string working_directory;
    std::string user;
    std::vector<std::string> exposed_ports; ///< "80/tcp"
    std::vector<std::string> volumes;       ///< targets
    std::map<std::string, std::string> labels;
    std::string stop_signal;
    HealthConfig health;
};

struct ImageInfo {
    std::string id; ///< "sha256:" and 64 digits: digest of the configuration
    ImageConfig config;
    std::vector<std::string> lower_directories; ///< extracted layers, topmost first (as overlayfs' lowerdir wants)
};

class ImageStore {
public:
    virtual ~ImageStore() = default;
    /// By "name", "name:tag", "name@digest", an id, or a unique prefix of one. nullopt when there is none.
    virtual std::optional<ImageInfo> resolve(const std::string& reference) const = 0;
    /// Loads a docker-archive or OCI layout from a file; returns the references it brought ("atoll/echo:latest").
    /// The engine calls it for carried images that a service needs and `resolve` does not know, or whose file changed.
    virtual std::vector<std::string> load_file(const std::string& path) = 0;
};

} // namespace engine
