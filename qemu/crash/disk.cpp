#include "crash/disk.hpp"

#include <cstring>

#include "base/error.hpp"

namespace crash {
namespace {

std::uint64_t hash_sector(const std::uint8_t* sector) {
    std::uint64_t hash = 0;
    for (std::size_t i = 0; i < sector_size; i += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, sector + i, 8);
        hash = mix(hash, word);
    }
    return hash;
}

std::uint64_t little_endian(const std::uint8_t* bytes, std::size_t count) {
    std::uint64_t value = 0;
    while (count-- > 0)
        value = value << 8U | bytes[count];
    return value;
}

} // namespace

std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
    std::uint64_t value = (a ^ (b + 0x9e3779b97f4a7c15U + (a << 6U) + (a >> 2U))) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 29U)) * 0x94d049bb133111ebU;
    return value ^ (value >> 32U);
}

ContentId Contents::find_or_add(const std::uint8_t* sector, bool copy) {
    const std::uint64_t hash = hash_sector(sector);
    const auto [begin, end] = by_hash_.equal_range(hash);
    for (auto found = begin; found != end; ++found)
        if (std::memcmp(data_[found->second], sector, sector_size) == 0)
            return found->second;
    if (copy) {
        copies_.emplace_back();
        std::memcpy(copies_.back().data(), sector, sector_size);
        sector = copies_.back().data();
    }
    const auto id = static_cast<ContentId>(data_.size());
    data_.push_back(sector);
    by_hash_.emplace(hash, id);
    return id;
}

ContentId Contents::number(const std::uint8_t* sector) {
    return find_or_add(sector, false);
}
ContentId Contents::number_copy(const std::uint8_t* sector) {
    return find_or_add(sector, true);
}

Disk::Disk(std::span<const std::uint8_t> base, std::vector<Extent> extents)
    : base_(base), extents_(std::move(extents)), fingerprints_(extents_.size() + 1), ids_(base.size() / sector_size),
      was_touched_(ids_.size()) {
    for (const Extent& extent : extents_)
        if (extent.first > ids_.size() || extent.sectors > ids_.size() - extent.first)
            throw base::Error("partition " + extent.name + " does not fit the disk");
}

void Disk::put(std::uint64_t sector, ContentId id) {
    const ContentId old = std::exchange(ids_[sector], id);
    std::size_t extent = 0;
    while (extent < extents_.size() && sector - extents_[extent].first >= extents_[extent].sectors)
        ++extent;
    const auto part = [sector](ContentId content) {
        return content == 0 ? 0 : mix(sector, content);
    };
    fingerprints_[extent] ^= part(old) ^ part(id);
}

void Disk::write(std::uint64_t sector, ContentId id) {
    if (id != 0 && std::memcmp(base_.data() + sector * sector_size, contents_.data(id), sector_size) == 0)
        id = 0;
    if (ids_[sector] == id)
        return;
    undo_.emplace_back(sector, ids_[sector]);
    if (!was_touched_[sector]) {
        was_touched_[sector] = true;
        touched_.push_back(sector);
    }
    put(sector, id);
}

void Disk::read(std::uint64_t first, std::uint64_t count, std::uint8_t* into) const {
    for (std::uint64_t i = 0; i < count; ++i)
        std::memcpy(into + i * sector_size, sector(first + i), sector_size);
}

void Disk::take_back(std::size_t mark) {
    while (undo_.size() > mark) {
        put(undo_.back().first, undo_.back().second);
        undo_.pop_back();
    }
}

std::uint64_t Disk::fingerprint() const {
    std::uint64_t all = 0;
    for (const std::uint64_t part : fingerprints_)
        all = mix(all, part);
    return all;
}

std::vector<Extent> read_partitions(std::span<const std::uint8_t> disk) {
    constexpr std::size_t entry_size = 128;
    if (disk.size() < 34 * sector_size || std::memcmp(disk.data() + sector_size, "EFI PART", 8) != 0)
        throw base::Error("disk: no GUID partition table");
    std::vector<Extent> partitions;
    for (std::size_t number = 0; number < 128; ++number) {
        const std::uint8_t* entry = disk.data() + 2 * sector_size + number * entry_size;
        const std::uint64_t first = little_endian(entry + 32, 8);
        const std::uint64_t last = little_endian(entry + 40, 8);
        if (first == 0)
            continue;
        if (last < first || last >= disk.size() / sector_size)
            throw base::Error(fmt::format("disk: partition {} leaves it", number + 1));
        std::string name;
        for (std::size_t i = 0; i < 72 && entry[56 + i] != 0; i += 2)
            name += static_cast<char>(entry[56 + i]);
        partitions.push_back({.name = name, .first = first, .sectors = last - first + 1});
    }
    return partitions;
}

} // namespace crash
