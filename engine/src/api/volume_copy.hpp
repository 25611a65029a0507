// A new volume starts with what the image has at its place, as docker does it.
#pragma once
#include <string>

namespace engine::api {

/// Copies the directory `target` of the root file system `root` (hostile: resolved inside of it) into the empty
/// directory `volume`: owners, modes, times, symbolic links, extended attributes; sockets and devices are left out.
/// Nothing happens when there is no such directory. Throws base::Error.
void copy_into_volume(const std::string& root, const std::string& target, const std::string& volume);

} // namespace engine::api
