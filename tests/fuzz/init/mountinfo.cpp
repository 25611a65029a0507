#include "mounts.hpp"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    init::Path path;
    if (init::parse_mount_point({reinterpret_cast<const char*>(data), size}, path) &&
        (!path.view().starts_with('/') || path.truncated()))
        std::abort();
    return 0;
}
