// Options of config.json's mounts, translated for the mount API of Linux 5.12 (fsopen, open_tree, mount_setattr).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace engine::runtime {

struct MountOptions {
    std::uint64_t set = 0, clear = 0;                     ///< MOUNT_ATTR_* of the mount itself
    std::uint64_t recursive_set = 0, recursive_clear = 0; ///< of it and all below ("rro", "rnosuid")
    std::uint64_t propagation = 0;                        ///< MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE or 0
    bool propagation_recursive = false;
    bool bind = false, recursive_bind = false;
    bool copy_up = false;                             ///< "tmpcopyup": a tmpfs that starts with what it covers
    bool remount = false;                             ///< changes what is mounted at the destination
    bool inode_versions = false;                      ///< "iversion": known to mount(2) alone
    bool id_mapped = false, recursive_id_map = false; ///< "idmap", "ridmap"
    std::string id_map; ///< what podman and crun write: "idmap=uids=0-1-10#10-11-10;gids=@0-100-10"
    /// For the file system: {"size", "64k"}, {"sync", ""}.
    std::vector<std::pair<std::string, std::string>> data;
};

/// Applies one option. Later ones win over earlier ones. False when the option is one we refuse; everything unknown is
/// data for the file system.
bool apply_mount_option(MountOptions& options, std::string_view option);

/// The options with a meaning of their own, for `features`.
std::vector<std::string> known_mount_options();

} // namespace engine::runtime
