#include "torn_superblock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/unique_fd.hpp"
#include "crc32c.hpp"
#include "files.hpp"
#include "log.hpp"

namespace init {

namespace {

using Bytes = std::span<const std::uint8_t, ext4_superblock_size>;

// Documentation/filesystems/ext4/super.rst.
constexpr std::size_t blocks_count = 0x4;
constexpr std::size_t log_block_size = 0x18;
constexpr std::size_t blocks_per_group = 0x20;
constexpr std::size_t inodes_per_group = 0x28;
constexpr std::size_t magic = 0x38;
constexpr std::size_t inode_size = 0x58;
constexpr std::size_t features_compatible = 0x5c;
constexpr std::size_t features_read_only = 0x64;
constexpr std::size_t journal_inode = 0xe0;
constexpr std::size_t checksum_type = 0x175;
constexpr std::size_t checksum = 0x3fc;

constexpr std::uint32_t has_journal = 0x4;
constexpr std::uint32_t metadata_checksums = 0x400;
constexpr std::uint8_t crc32c_type = 1;

std::uint32_t number(Bytes bytes, std::size_t offset, std::size_t count) noexcept {
    std::uint32_t value = 0;
    for (std::size_t i = count; i-- > 0;)
        value = value << 8 | bytes[offset + i];
    return value;
}

/// What no tear changes, as these are the same in both writes.
bool is_plausible(Bytes bytes) noexcept {
    const std::uint32_t size = number(bytes, inode_size, 2);
    return number(bytes, magic, 2) == 0xef53 && number(bytes, blocks_count, 4) != 0 &&
           number(bytes, log_block_size, 4) <= 6 && number(bytes, blocks_per_group, 4) != 0 &&
           number(bytes, inodes_per_group, 4) != 0 && size >= 128 && size <= 4096 && (size & (size - 1)) == 0 &&
           (number(bytes, features_compatible, 4) & has_journal) != 0 && number(bytes, journal_inode, 4) == 8 &&
           (number(bytes, features_read_only, 4) & metadata_checksums) != 0 && bytes[checksum_type] == crc32c_type;
}

} // namespace

bool mend_torn_superblock(std::span<std::uint8_t, ext4_superblock_size> superblock) noexcept {
    if (!is_plausible(superblock))
        return false;
    const std::uint32_t right = crc32c(UINT32_MAX, superblock.first(checksum));
    if (number(superblock, checksum, 4) == right)
        return false;
    for (std::size_t i = 0; i < 4; ++i)
        superblock[checksum + i] = static_cast<std::uint8_t>(right >> (8 * i));
    return true;
}

bool mend_torn_superblock(const char* device) noexcept {
    const base::UniqueFd fd(::open(device, O_RDWR | O_CLOEXEC));
    std::array<std::uint8_t, ext4_superblock_size> bytes{};
    if (!fd ||
        read_at(fd.get(), bytes.data(), bytes.size(), ext4_superblock_offset) != static_cast<ssize_t>(bytes.size())) {
        log_error("read the superblock of ", device, ": ", Errno{errno});
        return false;
    }
    if (!mend_torn_superblock(std::span(bytes)))
        return false;
    if (::pwrite(fd.get(), bytes.data(), bytes.size(), ext4_superblock_offset) != static_cast<ssize_t>(bytes.size()) ||
        ::fsync(fd.get()) != 0) {
        log_error("write the superblock of ", device, ": ", Errno{errno});
        return false;
    }
    log_warning("the superblock of ", device, " was half written when power was lost: its checksum was set right");
    return true;
}

} // namespace init
