// The OS tree: the base tree, our programs and files, and what is made from them.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "image/channel_file.hpp"
#include "image/grub.hpp"
#include "image/lock.hpp"
#include "image/spec.hpp"
#include "image/tree.hpp"

namespace image {

struct OsTreeInput {
    const ImageSpec& spec;
    std::string base_tree;
    std::string bin_dir;
    std::int64_t timestamp = 0;
    const Lock& lock;                     ///< what the base tree was unpacked from
    std::vector<std::string> public_keys; ///< base64: of the keys that sign this build
    std::optional<KeySetFile> key_set;    ///< of the repository; its keys are shipped in place of `public_keys`
    const std::optional<BootLoader>& loader;
};

/// Makes the tree in `root`, which must not exist, on the base tree's file system. Throws base::Error, also when a
/// program or library needs a library that is not in the tree.
Tree make_os_tree(const OsTreeInput& input, const std::string& root);

} // namespace image
