// A disk that was rebuilt from a log: the base image, and over it, sector by sector, what writes put there. Nothing is
// copied: a sector is the number of its content, and every content is kept once. Changes can be taken back to a mark,
// so that thousands of states that differ little cost little.
#pragma once
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "crash/write_log.hpp"

namespace crash {

/// Numbers of distinct sector contents; 0 stands for "as in the base image at that place".
using ContentId = std::uint32_t;

class Contents {
public:
    Contents() : data_(1) {}
    /// `sector` has to outlive this object.
    ContentId number(const std::uint8_t* sector);
    /// Keeps a copy.
    ContentId number_copy(const std::uint8_t* sector);
    const std::uint8_t* data(ContentId id) const { return data_[id]; }

private:
    ContentId find_or_add(const std::uint8_t* sector, bool copy);

    std::vector<const std::uint8_t*> data_;
    std::unordered_multimap<std::uint64_t, ContentId> by_hash_;
    std::deque<std::array<std::uint8_t, sector_size>> copies_;
};

/// A part of the disk: a partition, or what lies outside of them.
struct Extent {
    std::string name;
    std::uint64_t first = 0; ///< sectors
    std::uint64_t sectors = 0;
};

class Disk {
public:
    /// `base` has to outlive it. The extents must not overlap; each gets a fingerprint.
    Disk(std::span<const std::uint8_t> base, std::vector<Extent> extents);

    std::uint64_t sectors() const noexcept { return ids_.size(); }
    Contents& contents() noexcept { return contents_; }
    ContentId id(std::uint64_t sector) const { return ids_[sector]; }
    /// The sector as it is now.
    const std::uint8_t* sector(std::uint64_t number) const {
        const ContentId id = ids_[number];
        return id == 0 ? base_.data() + number * sector_size : contents_.data(id);
    }
    void write(std::uint64_t sector, ContentId id);
    void read(std::uint64_t first, std::uint64_t count, std::uint8_t* into) const;

    /// Changes from here on can be taken back. Marks nest.
    std::size_t mark() const noexcept { return undo_.size(); }
    void take_back(std::size_t mark);
    /// Forgets how to take back: what was written stays.
    void keep() { undo_.clear(); }

    const std::uint8_t* content(ContentId id) const { return contents_.data(id); }

    const std::vector<Extent>& extents() const noexcept { return extents_; }
    /// Equal for equal contents of the extent.
    std::uint64_t fingerprint(std::size_t extent) const { return fingerprints_[extent]; }
    /// Of the whole disk.
    std::uint64_t fingerprint() const;
    /// Sectors that differ from the base now or did before, in any order.
    const std::vector<std::uint64_t>& touched() const noexcept { return touched_; }

private:
    void put(std::uint64_t sector, ContentId id);

    std::span<const std::uint8_t> base_;
    std::vector<Extent> extents_;
    std::vector<std::uint64_t> fingerprints_; ///< the last: outside of every extent
    Contents contents_;
    std::vector<ContentId> ids_;
    std::vector<bool> was_touched_;
    std::vector<std::uint64_t> touched_;
    std::vector<std::pair<std::uint64_t, ContentId>> undo_;
};

/// A hash of 64 bits for contents that nobody chose against us.
std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept;

/// The partitions of the rig's disk by their name in the GPT: "boot", "root" and what else there is. Throws
/// base::Error.
std::vector<Extent> read_partitions(std::span<const std::uint8_t> disk);

} // namespace crash
