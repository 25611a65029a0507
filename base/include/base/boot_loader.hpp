// GRUB as an image carries it and as it lies on a disk: the manifest that says which files belong together, and the
// places in GRUB's BIOS images that say where on the disk they are. Written by mkimage, read by the updater.
//
// In an image: /usr/lib/atoll/boot-loader/ with manifest.json, boot.img, core.img, BOOTX64.EFI and, below grub/, the
// files that GRUB reads. On a disk: those and the manifest in /boot/grub/ID/. Both images have that directory built
// in, so that whoever points to another image points to its modules and its grub.cfg with the same write.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace base {

inline constexpr std::size_t sector_size = 512;
/// Where GRUB's images look, completed with the drive they were started from: partition 3 is /boot.
inline constexpr std::string_view grub_prefix = "(,gpt3)/grub";

/// Which files make up one boot loader. Digests are SHA-256.
struct BootLoaderManifest {
    static constexpr const char* file_name = "manifest.json";
    static constexpr std::size_t max_size = 16 * 1024;

    std::string id;      ///< VERSION-DIGITS; the name of its directory in /boot/grub
    std::string version; ///< of the GRUB package
    std::string boot;    ///< of neutral_boot_image
    std::string core;    ///< of neutral_core_image
    std::string efi;
    std::map<std::string, std::string> files; ///< digests of what GRUB reads, by path below grub/

    /// Throws Error, also for an identifier or a path that could lead anywhere else.
    static BootLoaderManifest parse(std::string_view text, const std::string& name);
    std::string serialize() const;
};

/// Letters, digits and ".+~-", at most 80, not beginning with a dot.
bool is_boot_loader_id(std::string_view text) noexcept;
/// The identifier in GRUB's EFI image: what follows the prefix. Empty: an image of ours from before there was one.
/// nullopt-like: `found` is false when the prefix is not in it, so that it is nobody's of ours.
struct EfiPrefix {
    bool found = false;
    std::string id;
};
EfiPrefix efi_prefix(std::string_view image);

/// GRUB's boot.img joined with the partition table's first sector: GRUB's code, `mbr`'s disk signature and partition
/// entries (0x1b8 to 0x1ff). boot.img then loads one sector at `core_lba` (its u64 at 0x5c); the jump at 0x66 becomes
/// two nops, so that the drive number the firmware gave is taken. Throws Error when one of them is no boot sector.
std::string patch_boot_image(std::string boot_image, const std::string& mbr, std::uint64_t core_lba);
/// The same for every disk and place. Throws Error when it is not 512 bytes.
std::string neutral_boot_image(std::string sector);
/// Where a boot sector of GRUB loads the first sector of core.img from.
std::uint64_t core_place(std::string_view boot_sector);

/// core.img for `core_lba`: the block list in its first sector (u64 at 0x1f4) says that the rest follows at once.
/// Whole sectors. Throws Error when it is too short.
std::string patch_core_image(std::string core_image, std::uint64_t core_lba);
/// The same for every place: the block list's start is 0.
std::string neutral_core_image(std::string core_image);
/// Sectors of the core.img with that first sector at `core_lba`, by its block list; 0: it is none, or not for there.
std::uint64_t core_sectors(std::string_view first_sector, std::uint64_t core_lba) noexcept;

} // namespace base
