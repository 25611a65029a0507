// ext4's superblock lies in two sectors, and its checksum at the end of the second. Power lost between the two leaves
// new counters beside the old checksum: the kernel mounts no such file system, and cannot read the journal, which has
// that block whole. The checksum is set right, and the journal does the rest.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace init {

inline constexpr std::size_t ext4_superblock_offset = 1024; ///< bytes on the device
inline constexpr std::size_t ext4_superblock_size = 1024;

/// True: it has a checksum, which was wrong, is otherwise one of a file system (magic, block and inode sizes, journal),
/// and was changed.
bool mend_torn_superblock(std::span<std::uint8_t, ext4_superblock_size> superblock) noexcept;

/// The same on a device, which is synced then. Failures are logged.
bool mend_torn_superblock(const char* device) noexcept;

} // namespace init
