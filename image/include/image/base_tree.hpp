// The part of an OS tree that packages bring, unpacked once and kept.
#pragma once
#include <string>

#include "base/unique_fd.hpp"
#include "image/lock.hpp"
#include "image/packages.hpp"
#include "image/spec.hpp"

namespace image {

/// Where mkimage keeps what it can make again: pool/ (packages), base/ (unpacked trees), repo/ (ostree objects), work/.
/// One mkimage at a time has it.
class Cache {
public:
    /// Makes the directories, waits for others to be done, removes what a killed build left in work/.
    explicit Cache(std::string directory);
    const std::string& directory() const noexcept { return directory_; }
    std::string pool() const { return directory_ + "/pool"; }
    std::string base_trees() const { return directory_ + "/base"; }
    std::string repository() const { return directory_ + "/repo"; }
    std::string work() const { return directory_ + "/work"; }

private:
    std::string directory_;
    base::UniqueFd lock_;
};

/// The directory of the base tree of `spec` and `lock`; made if the cache does not have it. Never changed afterwards:
/// take a copy with link_tree.
std::string prepare_base_tree(const BaseSpec& spec, const Lock& lock, const PackagePool& pool, const Cache& cache,
                              bool os_layout);

} // namespace image
