#include <sys/stat.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "image/archive.hpp"
#include "image/packages.hpp"
#include "image/tree_path.hpp"

namespace image {
namespace {

/// Unpacks packages into one tree. Parent directories are opened beneath the tree's root, so that no symlink of one
/// package leads another's files out of it.
class Unpacker {
public:
    Unpacker(const BaseSpec& spec, bool os_layout, const Tree& tree)
        : drop_(spec.drop), keep_(spec.keep), os_layout_(os_layout), tree_(tree),
          root_(base::open_file(tree.root(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {}

    void unpack(const std::string& package) {
        read_package(package, [&](const PackageEntry& entry, const ContentSource& content) {
            const std::string path = place(entry.path);
            if (drop_.matches(path) && !keep_.matches(path))
                return;
            base::with_context(package + ": " + entry.path, [&] { put(entry, path, content); });
        });
    }

private:
    std::string place(const std::string& path) const { return os_layout_ ? os_tree_path(path) : path; }

    void put(const PackageEntry& entry, const std::string& path, const ContentSource& content) {
        if (entry.kind == PackageEntry::Kind::directory) {
            if (!tree_.exists(path)) // else a directory, or a merged-usr symlink to one
                tree_.make_directories(path);
            return;
        }
        const std::size_t slash = path.rfind('/');
        const std::string parent = slash == std::string::npos ? "" : path.substr(0, slash);
        const std::string name = path.substr(slash == std::string::npos ? 0 : slash + 1);
        tree_.make_directories(parent);
        const base::UniqueFd directory =
            base::open_beneath(root_.get(), parent.empty() ? "." : parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (entry.kind == PackageEntry::Kind::symlink) {
            base::check(::symlinkat(entry.link.c_str(), directory.get(), name.c_str()), "symlink");
        } else if (entry.kind == PackageEntry::Kind::hardlink) {
            base::check(::linkat(root_.get(), place(entry.link).c_str(), directory.get(), name.c_str(), 0), "link");
        } else {
            base::UniqueFd file(
                ::openat(directory.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
            base::check(file.get(), "create");
            for (std::string_view piece = content(); !piece.empty(); piece = content())
                base::write_all(file.get(), piece, name);
            // Never setuid or setgid, and readable: nothing in the tree is secret.
            base::check(::fchmod(file.get(), (entry.permissions & 0755) | 0444), "chmod");
            base::checked_close(std::move(file), name);
        }
    }

    PathRules drop_;
    PathRules keep_;
    bool os_layout_;
    const Tree& tree_;
    base::UniqueFd root_;
};

} // namespace

void unpack_packages(const std::vector<LockedPackage>& packages, const PackagePool& pool, const BaseSpec& spec,
                     bool os_layout, const Tree& tree) {
    Unpacker unpacker(spec, os_layout, tree);
    for (const LockedPackage& package : packages)
        unpacker.unpack(pool.path_of(package));
}

} // namespace image
