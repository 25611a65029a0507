// Saved containers as JSON. Written by this release, read by it, the one before and the one after: unknown members are
// ignored, missing ones have their defaults, none changes its meaning.
#pragma once
#include <string>
#include <string_view>

#include "engine/container.hpp"

namespace engine {

/// What is on disk of a container besides its files: config.json, written when it is created, renamed or updated.
struct SavedContainer {
    std::string id;
    std::string name;
    TimePoint created;
    ContainerConfig config;
    std::vector<std::string> lower_directories;
};

/// state.json, written at each start and end.
struct SavedState {
    ContainerState state;         ///< without health
    bool stopped_by_user = false; ///< "unless-stopped" does not start it again
};

std::string format_saved_container(const SavedContainer& container);
/// Throws base::Error naming `name`.
SavedContainer parse_saved_container(std::string_view text, const std::string& name);

std::string format_saved_state(const SavedState& state);
SavedState parse_saved_state(std::string_view text, const std::string& name);

} // namespace engine
