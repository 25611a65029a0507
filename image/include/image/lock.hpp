// The lock file: exactly which Debian packages an image is made of.
//
//   # comment
//   date 1795262400
//   busybox=1:1.35.0-4+deb12u1+b1 amd64 <sha256> 452120 pool/main/b/busybox/busybox_1.35.0-4_amd64.deb
//
// Sorted by name, one line a package, no host names: what a version is does not depend on the mirror it comes from.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace image {

struct LockedPackage {
    std::string name;
    std::string version;
    std::string architecture; ///< amd64 or all
    std::string sha256;
    std::uint64_t size = 0;
    std::string filename; ///< below the archive's root, "pool/main/..."

    /// The file's name in the pool, as `apt-get download` names it: "name_version_architecture.deb" with %3a for ':'.
    std::string pool_name() const;
    bool operator==(const LockedPackage&) const = default;
};

struct Lock {
    std::int64_t date = 0; ///< when it was made; the default time stamp of the image
    std::vector<LockedPackage> packages;

    const LockedPackage* find(std::string_view name) const noexcept;
    /// What the tree depends on: the packages, not the date.
    std::string digest() const;
};

/// Throws base::Error "NAME:LINE:COLUMN: problem".
Lock parse_lock(std::string_view text, const std::string& name);
Lock load_lock(const std::string& path);
std::string format_lock(const Lock& lock);

} // namespace image
