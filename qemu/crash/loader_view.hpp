// What firmware starts on a disk: by BIOS, boot sector -> core.img in one of its two places; by UEFI, the ESP's
// EFI/BOOT/BOOTX64.EFI. Either has the identifier of a directory in /boot/grub built in, which has to be whole as well.
#pragma once
#include <map>
#include <set>
#include <string>
#include <unordered_map>

#include "base/boot_loader.hpp"
#include "crash/disk.hpp"
#include "crash/ext4.hpp"
#include "crash/fat.hpp"

namespace crash {

using Manifests = std::map<std::string, base::BootLoaderManifest>; ///< by identifier

/// Those of the directories of /grub that have one. Throws base::Error when one cannot be read.
Manifests manifests_in(const Ext4& boot);
/// Which of the manifest's files is not whole in /grub; empty: all are.
std::string damaged_loader_file(const Ext4& boot, const base::BootLoaderManifest& manifest);

/// The disk's ESP and, for what is written on it on purpose, its first sector. Throws base::Error.
struct Esp {
    explicit Esp(const Disk& disk);
    std::uint64_t first = 0;
    Fat files;
};
inline constexpr const char* efi_image = "EFI/BOOT/BOOTX64.EFI";

/// Looks once at each content that a part of the disk had.
class LoaderChecker {
public:
    /// The disk's partition table has to stay as it is now.
    explicit LoaderChecker(const Disk& disk);

    /// Firmware may start from here on what it starts now, which is one of these.
    void allow_present(const Manifests& manifests);
    void forget_allowed();
    /// Those that something may start.
    const Manifests& allowed() const noexcept { return allowed_; }

    struct Started {
        std::string id;     ///< of an allowed one
        std::string damage; ///< why it is none of these
    };
    Started by_bios();
    Started by_uefi();
    /// What is wrong with the ESP's file system though its image is whole; empty: nothing.
    const std::string& esp_damage() { return esp().damaged_files; }
    /// The ESP has a half-written file that an update was cut off at, which contradicts itself and nothing else.
    bool is_half_written() { return esp().is_half_written; }

    /// Different contents that were looked at.
    std::size_t bios_areas() const noexcept { return bios_.size(); }
    std::size_t esps() const noexcept { return esps_.size(); }

private:
    /// Digests of boot code and core.img, or of the EFI image.
    struct Found {
        std::string boot, image, damage;
        std::string damaged_files;
        bool is_half_written = false;
    };
    std::string read(std::uint64_t sector, std::uint64_t count) const;
    const Found& bios();
    const Found& esp();
    Found look_at_bios() const;
    Found look_at_esp() const;

    const Disk& disk_;
    std::size_t area_; ///< extents
    std::size_t esp_;
    std::string partition_table_; ///< in the boot sector
    Manifests allowed_;
    std::set<std::string> allowed_by_bios_, allowed_by_uefi_;
    std::unordered_map<std::uint64_t, Found> bios_;
    std::unordered_map<std::uint64_t, Found> esps_;
};

} // namespace crash
