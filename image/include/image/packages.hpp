// Debian packages: which ones (from apt's lists), where they are kept (the pool), what is in them.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "image/lock.hpp"
#include "image/spec.hpp"
#include "image/tree.hpp"

namespace image {

/// One paragraph of `apt-cache show`.
struct PackageRecord {
    LockedPackage package;
    std::vector<std::vector<std::string>> depends; ///< each: the names of alternatives, first preferred
    std::vector<std::string> provides;
};

/// Parses the paragraphs of a Packages file. Throws base::Error "NAME: ...".
std::vector<PackageRecord> parse_packages(std::string_view text, const std::string& name);

/// Gives the candidate records of these package names; names that have none are left out.
using PackageSource = std::function<std::vector<PackageRecord>(const std::vector<std::string>&)>;

/// `spec.packages` and everything they depend on, but for `spec.without`. A dependency with alternatives takes the one
/// that is wanted already, else the first. Throws base::Error naming a package that does not exist and who asked.
Lock resolve_packages(const BaseSpec& spec, const PackageSource& source, std::int64_t date);

/// resolve_packages with what the build host's apt knows.
Lock resolve_with_apt(const BaseSpec& spec);

/// The directory where package files are kept.
class PackagePool {
public:
    explicit PackagePool(std::string directory) : directory_(std::move(directory)) {}

    /// Whether `package` is there with its digest.
    bool has(const LockedPackage& package) const;
    /// Fetches what is missing with `apt-get download`; every file's digest and size is checked each time.
    /// Throws PackageGone when the mirror no longer has a version.
    void fetch(const std::vector<LockedPackage>& packages) const;
    std::string path_of(const LockedPackage& package) const { return directory_ + "/" + package.pool_name(); }

private:
    std::string directory_;
};

/// The mirror has dropped a locked version.
class PackageGone : public base::Error {
public:
    using base::Error::Error;
};

/// Unpacks the locked packages into `tree`, without what `spec` drops; owner and times do not matter, setuid bits go.
void unpack_packages(const std::vector<LockedPackage>& packages, const PackagePool& pool, const BaseSpec& spec,
                     bool os_layout, const Tree& tree);

} // namespace image
