// mount(2) with its failure in the log, and the mounts of a running system.
#pragma once
#include <sys/mount.h>

#include <cstddef>
#include <string_view>

#include "text.hpp"

namespace init {

struct MountPlan {
    const char* source;
    const char* target;
    const char* type;
    unsigned long flags;
    const char* data;
    bool required; ///< else a kernel without this file system (ENODEV, ENOENT of the target) is no problem
};

/// Makes the target directory when it is missing. Returns 0 or an errno value, which was logged.
int mount_planned(const MountPlan& plan) noexcept;
/// As above; an ext4 whose superblock or last commit was torn by a power cut is mended first.
int mount_device(const char* device, const char* target, const char* type, unsigned long flags) noexcept;
/// Binds `source` (not what is mounted below it) on `target`, then sets `flags` (MS_RDONLY, MS_NODEV ...) on it.
int bind_mount(const char* source, const char* target, unsigned long flags) noexcept;
/// Sets the flags of a mount point, not of its file system.
int remount_bind(const char* target, unsigned long flags) noexcept;
int move_mount_point(const char* source, const char* target) noexcept;
bool is_mount_point(const char* path) noexcept;

/// A line of /proc/self/mountinfo: the mount point, unescaped ("\040" is a blank). False: not such a line.
bool parse_mount_point(std::string_view line, Path& mount_point) noexcept;

/// Unmounts everything but the root and the kernel's own file systems, last mounted first, then makes the root
/// read-only. Repeats while that brings something. What stays is logged. For the very end: all processes are gone.
void unmount_all() noexcept;

/// FITHAW: a libostree that was killed leaves /boot frozen, and everybody who writes to it then hangs.
void thaw(const char* path) noexcept;

} // namespace init
