// A path in a container's root file system, as docker cp means it.
#pragma once
#include <sys/stat.h>

#include <optional>
#include <string>

#include "base/unique_fd.hpp"

namespace engine::api {

struct RootfsPath {
    base::UniqueFd directory; ///< the one the path's last component is in
    std::string base_name;    ///< that component; "." for the root, and when the path ends in "/" or "/."
    std::string shown_name;   ///< "etc" for "/etc/"
    std::string archive_name; ///< what a tar of it begins with: "etc", or "." for "/etc/."
    struct stat status {};    ///< of the last component itself, also when it is a symbolic link
    std::string link_target;  ///< of a symbolic link, as it is written

    /// The directory the path names, symbolic links in its way followed inside of the root; empty when it is none.
    base::UniqueFd open_directory() const;
    base::UniqueFd root;
    std::string path;
};

/// Symbolic links on the way are followed inside of `root` only; the last component is not followed, unless the path
/// ends in "/" or "/.". nullopt when there is nothing. Throws base::Error for other reasons.
std::optional<RootfsPath> find_in_rootfs(const std::string& root, const std::string& path);

} // namespace engine::api
