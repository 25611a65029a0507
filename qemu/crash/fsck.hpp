// e2fsck on a rebuilt file system. A scratch copy of the partition follows the states: only sectors that differ are
// written. The verdict is remembered by the content of all metadata.
#pragma once
#include <set>
#include <string>
#include <unordered_map>

#include "base/files.hpp"
#include "base/unique_fd.hpp"
#include "crash/disk.hpp"

namespace crash {

class Fsck {
public:
    /// `directory` is for the scratch copy.
    Fsck(const Extent& where, const std::string& base_image, const std::string& directory);
    ~Fsck();

    /// Sectors that hold metadata: only what is in them changes the verdict.
    void add_metadata(const std::set<std::uint64_t>& sectors) { metadata_.insert(sectors.begin(), sectors.end()); }
    /// Empty when e2fsck finds the file system clean, else what it says. The journal has been replayed on `disk`.
    std::string check(const Disk& disk);
    /// The partition as it is on `disk`, as a file.
    const std::string& materialise(const Disk& disk);

    std::uint64_t runs() const noexcept { return runs_; }

private:
    bool has_orphans(const Disk& disk) const;

    Extent where_;
    std::string path_;
    base::UniqueFd file_;
    std::unordered_map<std::uint64_t, ContentId> there_; ///< what the scratch copy has where it differs from the base
    std::size_t touched_seen_ = 0;
    std::vector<std::uint64_t> touched_;
    std::set<std::uint64_t> metadata_;
    std::unordered_map<std::uint64_t, std::string> known_;
    std::uint64_t runs_ = 0;
};

/// Copies the part of a sparse file without its holes.
void copy_sparse(const std::string& from, std::uint64_t offset, std::uint64_t size, const std::string& to);

} // namespace crash
