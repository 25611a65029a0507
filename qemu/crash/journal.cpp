#include "crash/journal.hpp"

#include <ext2fs/ext2fs.h>

#include <cstring>
#include <map>

#include "base/error.hpp"
#include "crash/ext4.hpp"

namespace crash {
namespace {

constexpr std::size_t block_size = 4096;
constexpr std::uint64_t block_sectors = block_size / sector_size;
constexpr std::uint32_t magic = 0xc03b3998;
enum BlockType : std::uint32_t { descriptor = 1, commit = 2, superblock_1 = 3, superblock_2 = 4, revoke = 5 };
constexpr std::uint32_t feature_revoke = 1;
constexpr std::uint32_t feature_64bit = 2;
constexpr std::uint32_t feature_checksum_3 = 0x10;
enum TagFlag : std::uint32_t { escaped = 1, same_uuid = 2, deleted = 4, last_tag = 8 };

// ext4's superblock, at byte 1024 of the partition.
constexpr std::uint64_t super_sector = 2;
constexpr std::size_t incompatible_at = 0x60;
constexpr std::size_t read_only_compatible_at = 0x64;
constexpr std::size_t super_checksum_at = 0x3fc;
constexpr std::uint32_t needs_recovery = 4;
constexpr std::uint32_t metadata_checksums = 0x400;

using Block = std::array<std::uint8_t, block_size>;

std::uint32_t big_32(const std::uint8_t* at) {
    return static_cast<std::uint32_t>(at[0]) << 24U | static_cast<std::uint32_t>(at[1]) << 16U |
           static_cast<std::uint32_t>(at[2]) << 8U | at[3];
}
void put_big_32(std::uint8_t* at, std::uint32_t value) {
    for (unsigned i = 0; i < 4; ++i)
        at[i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
}
std::uint32_t little_32(const std::uint8_t* at) {
    return static_cast<std::uint32_t>(at[3]) << 24U | static_cast<std::uint32_t>(at[2]) << 16U |
           static_cast<std::uint32_t>(at[1]) << 8U | at[0];
}
void put_little_32(std::uint8_t* at, std::uint32_t value) {
    for (unsigned i = 0; i < 4; ++i)
        at[i] = static_cast<std::uint8_t>(value >> (8 * i));
}
std::uint32_t checksum(std::uint32_t seed, const std::uint8_t* data, std::size_t size) {
    return ext2fs_crc32c_le(seed, data, size);
}
/// With the four bytes at `place` taken as zero.
std::uint32_t checksum_without(std::uint32_t seed, std::span<std::uint8_t> data, std::size_t place) {
    std::array<std::uint8_t, 4> kept{};
    std::memcpy(kept.data(), data.data() + place, 4);
    std::memset(data.data() + place, 0, 4);
    const std::uint32_t sum = checksum(seed, data.data(), data.size());
    std::memcpy(data.data() + place, kept.data(), 4);
    return sum;
}

bool later_or_same(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::int32_t>(a - b) >= 0;
}

/// One replay: the passes of fs/jbd2/recovery.c.
class Replay {
public:
    Replay(Disk& disk, const Extent& where, const std::vector<std::uint64_t>& places)
        : disk_(disk), where_(where), places_(places) {}

    /// Without the file system's mark that it needs recovery nothing is replayed, whatever the journal holds; its
    /// superblock has to be right all the same.
    Journal::Outcome run(bool marked) {
        read_superblock();
        if (!marked)
            return {};
        if (start_ != 0) {
            scan();
            replay();
        }
        clean();
        return outcome_;
    }

private:
    struct Tag {
        std::uint64_t block;
        std::uint32_t flags;
        std::uint32_t sum;
        std::uint64_t at; ///< of its data in the journal
        std::uint32_t sequence;
    };

    [[noreturn]] void refuse(const std::string& why) const {
        throw base::Error(where_.name + ": the kernel would not mount it: journal: " + why);
    }
    void read_journal(std::uint64_t number, Block& into) const {
        if (number >= places_.size())
            refuse(fmt::format("block {} is outside", number));
        disk_.read(where_.first + places_[number] * block_sectors, block_sectors, into.data());
    }
    std::uint64_t next(std::uint64_t number) const { return number + 1 >= length_ ? first_ : number + 1; }

    void read_superblock() {
        read_journal(0, super_);
        if (big_32(super_.data()) != magic || big_32(&super_[4]) != superblock_2)
            refuse("no superblock");
        if (big_32(&super_[12]) != block_size)
            refuse("unexpected block size");
        length_ = big_32(&super_[16]);
        first_ = big_32(&super_[20]);
        sequence_ = big_32(&super_[24]);
        start_ = big_32(&super_[28]);
        features_ = big_32(&super_[40]);
        if ((features_ & ~(feature_revoke | feature_64bit | feature_checksum_3)) != 0)
            refuse(fmt::format("features {:#x} are not known here", features_));
        if (length_ > places_.size() || first_ == 0 || first_ >= length_)
            refuse("its superblock makes no sense");
        if (sums()) {
            constexpr std::size_t super_size = 1024;
            if (checksum_without(~0U, std::span(super_).first(super_size), 0xfc) != big_32(&super_[0xfc]))
                refuse("its superblock's checksum is wrong");
            seed_ = checksum(~0U, &super_[48], 16);
        }
    }
    bool sums() const { return (features_ & feature_checksum_3) != 0; }
    bool tail_is_right(Block& block) const {
        return !sums() || checksum_without(seed_, block, block_size - 4) == big_32(&block[block_size - 4]);
    }

    void read_tags(const Block& block, std::uint64_t& at) {
        const bool wide = (features_ & feature_64bit) != 0;
        const std::size_t size = sums() ? 16 : (wide ? 12 : 8);
        const std::size_t end = block_size - (sums() ? 4 : 0);
        for (std::size_t place = 12; place + size <= end;) {
            const std::uint8_t* raw = &block[place];
            Tag tag{.block = big_32(raw),
                    .flags = sums() ? big_32(raw + 4) : big_32(raw + 4) & 0xffffU,
                    .sum = sums() ? big_32(raw + 12) : 0,
                    .at = at,
                    .sequence = expected_};
            if (wide)
                tag.block |= static_cast<std::uint64_t>(big_32(raw + 8)) << 32U;
            pending_.push_back(tag);
            at = next(at);
            place += size + ((tag.flags & same_uuid) != 0 ? 0 : 16);
            if ((tag.flags & last_tag) != 0)
                return;
        }
    }
    void read_revokes(const Block& block) {
        const bool wide = (features_ & feature_64bit) != 0;
        const std::size_t end = std::min<std::size_t>(big_32(&block[12]), block_size);
        for (std::size_t place = 16; place + (wide ? 8 : 4) <= end; place += wide ? 8 : 4) {
            const std::uint64_t number =
                wide ? static_cast<std::uint64_t>(big_32(&block[place])) << 32U | big_32(&block[place + 4])
                     : big_32(&block[place]);
            pending_revokes_.push_back(number);
        }
    }

    /// Finds the transactions that are whole; the first thing that does not belong ends the log.
    void scan() {
        expected_ = sequence_;
        std::uint64_t at = start_;
        std::uint64_t last_time = 0;
        bool stale_suspected = false;
        for (std::uint64_t steps = 0; steps < length_; ++steps) {
            Block block;
            read_journal(at, block);
            if (big_32(block.data()) != magic || big_32(&block[8]) != expected_)
                return;
            at = next(at);
            switch (big_32(&block[4])) {
            case descriptor:
                // A block of a former round of the log may have the right number by chance: the commit's time tells.
                if (!tail_is_right(block))
                    stale_suspected = true;
                read_tags(block, at);
                break;
            case revoke:
                if (!tail_is_right(block))
                    stale_suspected = true;
                read_revokes(block);
                break;
            case commit: {
                const std::uint64_t time = static_cast<std::uint64_t>(big_32(&block[48])) << 32U | big_32(&block[52]);
                const bool right = !sums() || checksum_without(seed_, block, 16) == big_32(&block[16]);
                if (stale_suspected || !right) {
                    if (time >= last_time)
                        refuse(stale_suspected ? "the checksum of a descriptor or revoke block is wrong in a committed "
                                                 "transaction"
                                               : "the checksum of a commit block is wrong");
                    return;
                }
                last_time = time;
                tags_.insert(tags_.end(), pending_.begin(), pending_.end());
                for (const std::uint64_t number : pending_revokes_)
                    revoked_[number] = expected_;
                pending_.clear();
                pending_revokes_.clear();
                ++outcome_.transactions;
                ++expected_;
                break;
            }
            default:
                return;
            }
        }
    }

    void replay() {
        for (const Tag& tag : tags_) {
            const auto found = revoked_.find(tag.block);
            if (found != revoked_.end() && later_or_same(found->second, tag.sequence))
                continue;
            Block block;
            read_journal(tag.at, block);
            if (sums()) {
                std::array<std::uint8_t, 4> number{};
                put_big_32(number.data(), tag.sequence);
                if (checksum(checksum(seed_, number.data(), 4), block.data(), block_size) != tag.sum)
                    refuse(fmt::format("the checksum of block {} is wrong in a committed transaction", tag.block));
            }
            if ((tag.flags & escaped) != 0)
                put_big_32(block.data(), magic);
            if (tag.block >= where_.sectors / block_sectors)
                refuse(fmt::format("block {} is outside of the file system", tag.block));
            put(tag.block, block);
            ++outcome_.blocks;
        }
    }
    void put(std::uint64_t number, const Block& block) {
        for (std::uint64_t i = 0; i < block_sectors; ++i)
            disk_.write(where_.first + number * block_sectors + i,
                        disk_.contents().number_copy(block.data() + i * sector_size));
    }

    /// Takes the marks away that say that there is something to recover.
    void clean() {
        put_big_32(&super_[28], 0);
        put_big_32(&super_[24], later_or_same(expected_, sequence_) ? expected_ : sequence_);
        if (sums())
            put_big_32(&super_[0xfc], checksum_without(~0U, std::span(super_).first(1024), 0xfc));
        put(places_[0], super_);
        std::array<std::uint8_t, 2 * sector_size> super{};
        disk_.read(where_.first + super_sector, 2, super.data());
        put_little_32(&super[incompatible_at], little_32(&super[incompatible_at]) & ~needs_recovery);
        if ((little_32(&super[read_only_compatible_at]) & metadata_checksums) != 0)
            put_little_32(&super[super_checksum_at], checksum(~0U, super.data(), super_checksum_at));
        for (std::uint64_t i = 0; i < 2; ++i)
            disk_.write(where_.first + super_sector + i, disk_.contents().number_copy(super.data() + i * sector_size));
    }

    Disk& disk_;
    const Extent& where_;
    const std::vector<std::uint64_t>& places_;
    Block super_{};
    std::uint64_t length_ = 0;
    std::uint64_t first_ = 0;
    std::uint64_t start_ = 0;
    std::uint32_t sequence_ = 0;
    std::uint32_t expected_ = 0;
    std::uint32_t features_ = 0;
    std::uint32_t seed_ = 0;
    std::vector<Tag> tags_;
    std::vector<Tag> pending_;
    std::vector<std::uint64_t> pending_revokes_;
    std::map<std::uint64_t, std::uint32_t> revoked_;
    Journal::Outcome outcome_;
};

} // namespace

// Made with the features ext4 has here: checksums of version 3.
std::vector<std::uint64_t> journal_targets(const std::uint8_t* block) {
    std::vector<std::uint64_t> targets;
    if (big_32(block) != magic || big_32(block + 4) != descriptor)
        return targets;
    for (std::size_t place = 12; place + 16 <= block_size - 4;) {
        const std::uint32_t flags = big_32(block + place + 4);
        targets.push_back(static_cast<std::uint64_t>(big_32(block + place + 8)) << 32U | big_32(block + place));
        place += 16 + ((flags & same_uuid) != 0 ? 0U : 16U);
        if ((flags & last_tag) != 0)
            break;
    }
    return targets;
}

Journal::Journal(const Disk& disk, const Extent& where) : where_(where) {
    const Ext4 fs(disk, where, Ext4::Reader::kernel);
    if (fs.block_size() != block_size)
        throw base::Error(fmt::format("{}: blocks of {} bytes, expected {}", where.name, fs.block_size(), block_size));
    places_ = fs.blocks(Ext4::journal);
    if (places_.empty())
        throw base::Error(where.name + ": no journal");
}

Journal::Outcome Journal::recover(Disk& disk) const {
    std::array<std::uint8_t, 2 * sector_size> super{};
    disk.read(where_.first + super_sector, 2, super.data());
    if (little_32(&super[0x38]) % 0x10000 != EXT2_SUPER_MAGIC)
        throw base::Error(where_.name + ": no ext4 superblock");
    return Replay(disk, where_, places_).run((little_32(&super[incompatible_at]) & needs_recovery) != 0);
}

} // namespace crash
