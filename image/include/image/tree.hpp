// A directory tree being put together on the build host. Files may be hard links to a cached tree: nothing here
// changes a file in place.
#pragma once
#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "image/spec.hpp"

namespace image {

class Tree {
public:
    /// A tree in an existing directory.
    explicit Tree(std::string root) : root_(std::move(root)) {}

    const std::string& root() const noexcept { return root_; }
    /// The path on the build host of a clean path in the tree.
    std::string host_path(const std::string& path) const { return path.empty() ? root_ : root_ + "/" + path; }
    bool exists(const std::string& path) const;

    void make_directories(const std::string& path) const;
    /// Replaces what is at `path`; makes its parents.
    void write(const std::string& path, std::string_view content, mode_t mode = 0644) const;
    void symlink(const std::string& path, const std::string& target) const;
    /// Copies a file of the build host; `mode` empty: 0755 when its owner may execute it, else 0644.
    void copy_file(const std::string& source, const std::string& path, std::optional<mode_t> mode = {}) const;
    /// Copies what is below `source`; every path goes through os_tree_path when `os_layout`.
    void copy_directory(const std::string& source, const std::string& path, bool os_layout) const;
    void remove(const std::string& path) const;
    /// Removes directories below `path` that hold nothing.
    void prune_empty_directories(const std::string& path) const;

    /// bin, sbin, lib, lib64 as symlinks into usr.
    void make_merged_usr() const;
    void apply(const std::vector<FileRule>& files, const std::vector<LinkRule>& links, const std::string& bin_dir,
               bool os_layout) const;

private:
    std::string root_;
};

/// The same tree at `to` (which must not exist) with its files as hard links. Same file system.
void link_tree(const std::string& from, const std::string& to);

/// Size and paths of a tree, sorted by path.
struct TreeFile {
    std::string path;
    std::uint64_t size = 0;
};
std::vector<TreeFile> list_files(const std::string& root);

/// The tree's content as a tar: sorted, owner 0:0, one time.
std::string tar_of_tree(const std::string& root, std::int64_t time);

} // namespace image
