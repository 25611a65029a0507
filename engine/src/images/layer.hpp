// One layer: a tar of changes (OCI image-spec, layer.md) becomes a directory that overlayfs takes as a lower one.
#pragma once
#include <cstdint>
#include <string>

#include "images/archive_reader.hpp"

namespace engine {

/// Bounds on what an image may make us write.
struct LayerLimits {
    std::uint64_t bytes = std::uint64_t{64} << 30;       ///< of all files of a layer, and of its tar
    std::uint64_t entries = 4'000'000;                   ///< names in a layer
    std::uint64_t free_bytes = std::uint64_t{128} << 20; ///< left on the file system, or the load fails (ENOSPC)
};

struct ExtractedLayer {
    std::string diff_id;    ///< "sha256:..." of the decompressed tar
    std::uint64_t size = 0; ///< sum of the regular files
};

/// Extracts a tar, compressed or not, into the empty directory `rootfd`: owners, modes, times to the nanosecond, hard
/// links, devices and extended attributes kept; whiteouts become overlayfs's (character device 0:0,
/// trusted.overlay.opaque). Every path is resolved inside `rootfd` (RESOLVE_IN_ROOT: a symlink of the layer cannot
/// lead out); ".." is refused. The caller compares `diff_id` with the image's before anybody uses the directory.
/// Nothing is synced. Throws base::Error; what was written then is the caller's to remove.
ExtractedLayer extract_layer(const ByteSource& blob, int rootfd, const LayerLimits& limits, const std::string& name);

/// Unpacks a tar, compressed or not, into a directory that may hold something already (docker cp): as `extract_layer`,
/// but names that look like whiteouts are plain names, and what is there gives way only to its own kind: a directory
/// stays a directory, and a file never replaces one. Throws base::Error.
void unpack_into(const ByteSource& tar, int directory, const LayerLimits& limits, const std::string& name);

/// Splits an archive's path into a clean relative one: no leading "/" or "./", no empty or "." components.
/// Throws base::Error for "..", for an empty text and for one over 4096 bytes.
std::string clean_path(std::string_view path);

} // namespace engine
