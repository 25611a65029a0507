// A container image as `docker save` writes it: manifest.json, the image's configuration, one layer.
#pragma once
#include <string>
#include <vector>

namespace image {

struct ContainerImage {
    std::string name; ///< NAME:TAG
    std::vector<std::string> command;
    std::vector<std::string> environment; ///< NAME=VALUE
    std::int64_t created = 0;             ///< seconds since 1970
    std::string layer;                    ///< a tar
};

/// The archive's bytes, a function of `image` alone. Throws base::Error for a bad name.
std::string make_docker_archive(const ContainerImage& image);

} // namespace image
