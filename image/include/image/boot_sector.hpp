// GRUB for BIOS: the two places that grub-bios-setup patches, and nothing it asks the machine for.
#pragma once
#include <cstdint>
#include <string>

namespace image {

inline constexpr std::size_t sector_size = 512;

/// GRUB's boot.img joined with the partition table's first sector: GRUB's code, `mbr`'s disk signature and partition
/// entries (0x1b8 to 0x1ff). boot.img then loads one sector at `core_lba` (its u64 at 0x5c); the jump at 0x66 becomes
/// two nops, so that the drive number the firmware gave is taken.
std::string patch_boot_image(std::string boot_image, const std::string& mbr, std::uint64_t core_lba);

/// core.img for `core_lba`: the block list in its first sector (u64 at 0x1f4) says that the rest follows at once.
std::string patch_core_image(std::string core_image, std::uint64_t core_lba);

} // namespace image
