// The root file system after recovery: the ostree repository, every deployment a boot entry can lead to, /etc of each,
// and what has to be there under /var.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "crash/ext4.hpp"

namespace crash {

struct DeploymentView {
    std::string commit;
    std::string damage; ///< why its tree is not the commit's; empty: whole
    std::string etc;    ///< digest of all of /etc: names, modes, owners, contents
};

struct RootView {
    std::vector<std::string> damage;                   ///< of the repository, the markers, the updater's record
    std::map<std::string, std::string> links;          ///< "/ostree/boot.N/..." -> name of a deployment
    std::map<std::string, DeploymentView> deployments; ///< by name, those that a link leads to
};

/// Remembers what it has hashed by content key, so that states that share most of their blocks cost little.
class RootReader {
public:
    /// Looks at a file system whose journal was replayed. Never throws for what is wrong on the disk.
    RootView read(const Ext4& root);

    /// Files below the stateroot's /var that have to be whole: path -> exact content; known from when they were synced.
    std::map<std::string, std::string> required;
    static bool has(const Ext4& root, const std::string& path, const std::string& content);

private:
    struct Tree;
    struct Pass;
    const std::string& digest(const Ext4& root, const FileStatus& file, bool with_header);

    std::unordered_map<std::uint64_t, std::string> digests_; ///< by content key: SHA-256
    std::unordered_map<std::uint64_t, std::vector<Name>> lists_;
    std::map<std::string, std::shared_ptr<Tree>> trees_; ///< parsed dirtree objects by checksum
};

} // namespace crash
