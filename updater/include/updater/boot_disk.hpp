// The disk that this machine was started from, as the kernel tells: the one that /boot's partition is on.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace updater {

struct Extent {
    std::uint64_t first = 0; ///< sectors of 512 bytes
    std::uint64_t sectors = 0;
};

struct BootDisk {
    std::string device;              ///< "/dev/vda"
    std::optional<Extent> bios_boot; ///< partition "bios-boot"
    std::string esp;                 ///< device of the partition "atoll-esp"; empty: there is none
};

/// `boot`: a directory on /boot's file system. Throws base::Error when that is not a partition of a disk.
BootDisk find_boot_disk(const std::string& boot, const std::string& sysfs = "/sys",
                        const std::string& devices = "/dev");

} // namespace updater
