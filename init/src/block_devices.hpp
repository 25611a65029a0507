// Block devices found by what is on them, without udev: sysfs lists them, devtmpfs has their nodes.
#pragma once
#include <string_view>

#include "superblock.hpp"
#include "text.hpp"

namespace init {

/// A device and the file system on it.
struct BlockDevice {
    Text<64> name; ///< as in /sys/class/block, e.g. "vda4"
    Text<80> node; ///< e.g. "/dev/vda4"
    Text<64> disk; ///< the disk of a partition, or the device itself
    FileSystem type = FileSystem::none;
};

/// How a device is named in `root=`.
struct DeviceSpec {
    enum class Kind { path, label, uuid, partuuid };
    Kind kind = Kind::path;
    std::string_view value;

    /// "LABEL=x", "UUID=x", "PARTUUID=x", else a path.
    static DeviceSpec parse(std::string_view text) noexcept;
};

/// Looks through the devices that are there now. Of several that match, one on `preferred_disk` wins, else the first
/// by name, and a warning names the other. False: none.
bool find_device(const DeviceSpec& spec, std::string_view preferred_disk, BlockDevice& found) noexcept;

/// As above, again and again until `deadline` (now_msec).
bool wait_for_device(const DeviceSpec& spec, std::uint64_t deadline, BlockDevice& found) noexcept;

/// Logs the devices that are there and their labels: what somebody wants to see when the root was not found.
void log_devices() noexcept;

} // namespace init
