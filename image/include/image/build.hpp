// mkimage build: from the YAML to the disk and the update repository.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "image/publish.hpp"

namespace image {

struct BuildOptions {
    std::string yaml;
    std::string output;
    std::string bin_dir;
    std::string cache;
    std::string pool; ///< empty: in the cache
    std::optional<std::string> version;
    std::optional<std::int64_t> timestamp;
    std::vector<std::string> keys;
    std::vector<std::string> kernel_arguments; ///< added to the YAML's
    ChannelOptions channel;
    bool disk = true;
    bool qcow2 = false;
    bool measure = false; ///< also the compressed size of the tree
    bool relock = false;  ///< when the mirror has dropped locked versions, take today's
};

struct BuildResult {
    std::string name;
    std::string version;
    std::string ref;
    std::string commit;
    std::string revision; ///< atoll.rev of the disk's deployment
    std::string sizes;    ///< size_report
    std::vector<std::string> outputs;
};

/// Throws base::Error; the output directory then has what it had before.
BuildResult build_image(const BuildOptions& options);

} // namespace image
