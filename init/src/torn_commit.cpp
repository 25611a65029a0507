#include "torn_commit.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/unique_fd.hpp"
#include "crc32c.hpp"
#include "files.hpp"
#include "log.hpp"
#include "torn_superblock.hpp"

namespace init {

namespace {

constexpr std::size_t block_size = 4096;
constexpr std::size_t sector_size = 512;
using Block = std::array<std::uint8_t, block_size>;
using Bytes = std::span<const std::uint8_t>;

std::uint32_t little(Bytes bytes, std::size_t offset, std::size_t count) noexcept {
    std::uint32_t value = 0;
    for (std::size_t i = count; i-- > 0;)
        value = value << 8 | bytes[offset + i];
    return value;
}

std::uint32_t big(Bytes bytes, std::size_t offset) noexcept {
    return static_cast<std::uint32_t>(bytes[offset]) << 24 | static_cast<std::uint32_t>(bytes[offset + 1]) << 16 |
           static_cast<std::uint32_t>(bytes[offset + 2]) << 8 | bytes[offset + 3];
}

/// Where the journal's blocks are: the superblock's copy of its inode (Documentation/filesystems/ext4/super.rst,
/// s_jnl_blocks), whose extents are in the inode itself.
class JournalPlaces {
public:
    bool read(DeviceBytes& device) noexcept {
        std::array<std::uint8_t, ext4_superblock_size> super{};
        if (!device.read(ext4_superblock_offset, super) || little(super, 0x38, 2) != 0xef53 ||
            little(super, 0x18, 4) != 2 || super[0xfd] != 1)
            return false;
        const Bytes inode = Bytes(super).subspan(0x10c, 60);
        count_ = little(inode, 2, 2);
        if (little(inode, 0, 2) != 0xf30a || count_ == 0 || count_ > extents_.size() || little(inode, 6, 2) != 0)
            return false;
        for (std::size_t i = 0; i < count_; ++i) {
            const Bytes raw = inode.subspan(12 + 12 * i, 12);
            extents_[i] = {.logical = little(raw, 0, 4),
                           .length = little(raw, 4, 2),
                           .first = static_cast<std::uint64_t>(little(raw, 6, 2)) << 32 | little(raw, 8, 4)};
        }
        return true;
    }
    /// Offset on the device; 0: no such block.
    std::uint64_t offset(std::uint32_t number) const noexcept {
        for (std::size_t i = 0; i < count_; ++i)
            if (number >= extents_[i].logical && number - extents_[i].logical < extents_[i].length)
                return (extents_[i].first + number - extents_[i].logical) * block_size;
        return 0;
    }

private:
    struct Extent {
        std::uint32_t logical;
        std::uint32_t length;
        std::uint64_t first;
    };
    std::array<Extent, 4> extents_{};
    std::size_t count_ = 0;
};

// Documentation/filesystems/ext4/journal.rst.
constexpr std::uint32_t magic = 0xc03b3998;
constexpr std::uint32_t descriptor = 1;
constexpr std::uint32_t commit = 2;
constexpr std::uint32_t superblock_2 = 4;
constexpr std::uint32_t revoke = 5;
constexpr std::uint32_t feature_checksum_3 = 0x10;
constexpr std::uint32_t same_uuid = 2;
constexpr std::uint32_t last_tag = 8;
constexpr std::size_t commit_checksum = 16;

class JournalWalk {
public:
    explicit JournalWalk(DeviceBytes& device) noexcept : device_(device) {}

    bool open() noexcept {
        Block super{};
        if (!places_.read(device_) || !read(0, super) || big(super, 0) != magic || big(super, 4) != superblock_2 ||
            big(super, 12) != block_size || (big(super, 40) & feature_checksum_3) == 0)
            return false;
        length_ = big(super, 16);
        first_ = big(super, 20);
        sequence_ = big(super, 24);
        at_ = big(super, 28);
        seed_ = crc32c(UINT32_MAX, Bytes(super).subspan(48, 16));
        return first_ != 0 && first_ < length_ && at_ != 0 && at_ < length_; // a start of 0: nothing to recover
    }

    bool mend_end() noexcept {
        Block block{};
        for (std::uint32_t steps = 0; steps < length_; ++steps) {
            if (!read(at_, block) || big(block, 0) != magic || big(block, 8) != sequence_)
                return false;
            const std::uint32_t type = big(block, 4);
            if (type == commit) {
                if (!is_right(block))
                    return complete(block);
                ++sequence_;
            } else if (type == descriptor) {
                skip(count_tags(block));
            } else if (type != revoke) {
                return false;
            }
            skip(1);
        }
        return false;
    }

private:
    bool read(std::uint32_t number, Block& into) noexcept {
        const std::uint64_t offset = places_.offset(number);
        return offset != 0 && device_.read(offset, into);
    }
    void skip(std::uint32_t blocks) noexcept {
        for (; blocks > 0; --blocks)
            at_ = at_ + 1 >= length_ ? first_ : at_ + 1;
    }
    static std::uint32_t count_tags(const Block& block) noexcept {
        std::uint32_t count = 0;
        for (std::size_t place = 12; place + 16 <= block_size - 4; ++count) {
            const std::uint32_t flags = big(block, place + 4);
            if ((flags & last_tag) != 0)
                return count + 1;
            place += 16 + ((flags & same_uuid) != 0 ? 0U : 16U);
        }
        return count;
    }
    bool is_right(const Block& block) const noexcept {
        static constexpr std::array<std::uint8_t, 4> zeros{};
        const Bytes all(block);
        std::uint32_t sum = crc32c(seed_, all.first(commit_checksum));
        sum = crc32c(sum, zeros);
        return crc32c(sum, all.subspan(commit_checksum + 4)) == big(block, commit_checksum);
    }
    bool complete(Block& block) noexcept {
        std::fill(block.begin() + sector_size, block.end(), std::uint8_t{0});
        return is_right(block) && device_.write(places_.offset(at_), block);
    }

    DeviceBytes& device_;
    JournalPlaces places_;
    std::uint32_t length_ = 0;
    std::uint32_t first_ = 0;
    std::uint32_t sequence_ = 0;
    std::uint32_t at_ = 0;
    std::uint32_t seed_ = 0;
};

class DeviceNode final : public DeviceBytes {
public:
    explicit DeviceNode(int fd) noexcept : fd_(fd) {}
    bool read(std::uint64_t offset, std::span<std::uint8_t> into) noexcept override {
        return read_at(fd_, into.data(), into.size(), static_cast<off_t>(offset)) == static_cast<ssize_t>(into.size());
    }
    bool write(std::uint64_t offset, Bytes bytes) noexcept override {
        return ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset)) ==
               static_cast<ssize_t>(bytes.size());
    }

private:
    int fd_;
};

} // namespace

bool mend_torn_commit(DeviceBytes& device) noexcept {
    JournalWalk journal(device);
    return journal.open() && journal.mend_end();
}

bool mend_torn_commit(const char* device) noexcept {
    const base::UniqueFd fd(::open(device, O_RDWR | O_CLOEXEC));
    if (!fd) {
        log_error("open ", device, ": ", Errno{errno});
        return false;
    }
    DeviceNode node(fd.get());
    if (!mend_torn_commit(node))
        return false;
    if (::fsync(fd.get()) != 0)
        log_error("sync ", device, ": ", Errno{errno});
    log_warning("the last commit in the journal of ", device,
                " was half written when power was lost: it was completed");
    return true;
}

} // namespace init
