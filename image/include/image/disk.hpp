// The disk image: GPT, GRUB, and three file systems, written into one sparse file without mounts or loop devices.
#pragma once
#include <string>

#include "image/grub.hpp"
#include "image/spec.hpp"

namespace image {

struct DiskRequest {
    DiskSpec spec;
    std::string sysroot; ///< directory: the root file system's content; its /boot becomes the boot file system's
    std::string seed;    ///< what the identifiers of disk, partitions and file systems are made from
    std::string revision;
    const BootLoader& loader;
};

/// Writes `path`, which must not exist.
void make_disk(const DiskRequest& request, const std::string& path);

/// Converts to qcow2, compressed.
void convert_to_qcow2(const std::string& raw, const std::string& qcow2);

} // namespace image
