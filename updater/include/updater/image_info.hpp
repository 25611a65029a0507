// /usr/lib/atoll/image.yaml: what the booted image says of itself.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace updater {

struct ImageInfo {
    std::string name;
    std::string version;
    std::string ref;               ///< the stream this image was built as
    std::int64_t threshold = 1;    ///< `update.threshold`: how many different keys must have signed an update
    std::int64_t keys_version = 0; ///< `update.keys_version`: number of the key set that it ships, see key_set.hpp

    /// Of a deployment of this image; nullopt when it says nothing about them.
    std::optional<std::vector<std::string>> kernel_arguments;

    /// Other keys are for other readers and skipped. Throws base::ConfigError.
    static ImageInfo parse(std::string_view text, const std::string& name);
    /// Empty when there is no such file.
    static ImageInfo load(const std::string& path);
};

/// True for what may be asked of a repository as a ref: path components of letters, digits and "-_.", none of them
/// starting with a dot.
bool is_valid_ref(std::string_view ref) noexcept;

} // namespace updater
