// How much a directory holds.
#pragma once
#include <cstdint>
#include <string>

namespace engine::api {

/// Bytes of the regular files below, hard links counted once; 0 when there is no such directory. What vanishes
/// meanwhile does not count.
std::int64_t directory_size(const std::string& path);

} // namespace engine::api
