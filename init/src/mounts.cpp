#include "mounts.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/unique_fd.hpp"
#include "files.hpp"
#include "log.hpp"
#include "torn_commit.hpp"
#include "torn_superblock.hpp"

// <linux/fs.h> has its own MS_* in some versions; those of <sys/mount.h> are meant here.

namespace init {

int mount_planned(const MountPlan& plan) noexcept {
    ::mkdir(plan.target, 0755); // on a read-only root the directory is there already, or the mount fails
    if (::mount(plan.source, plan.target, plan.type, plan.flags, plan.data) == 0)
        return 0;
    const int error = errno;
    if (plan.required || (error != ENODEV && error != ENOENT))
        log_error("mount ", plan.type, " on ", plan.target, ": ", Errno{error});
    return error;
}

int mount_device(const char* device, const char* target, const char* type, unsigned long flags) noexcept {
    ::mkdir(target, 0755);
    if (::mount(device, target, type, flags, nullptr) == 0)
        return 0;
    const int error = errno;
    log_error("mount ", device, " (", type, ") on ", target, ": ", Errno{error});
    if (std::strcmp(type, "ext4") == 0 && (flags & MS_RDONLY) == 0) {
        const bool super = mend_torn_superblock(device);
        if (!mend_torn_commit(device) && !super)
            return error;
        if (::mount(device, target, type, flags, nullptr) == 0)
            return 0;
        log_error("mount ", device, " again: ", Errno{errno});
    }
    return error;
}

int bind_mount(const char* source, const char* target, unsigned long flags) noexcept {
    if (::mount(source, target, nullptr, MS_BIND, nullptr) != 0) {
        const int error = errno;
        log_error("bind ", source, " on ", target, ": ", Errno{error});
        return error;
    }
    return flags == 0 ? 0 : remount_bind(target, flags);
}

int remount_bind(const char* target, unsigned long flags) noexcept {
    if (::mount(nullptr, target, nullptr, MS_BIND | MS_REMOUNT | flags, nullptr) == 0)
        return 0;
    const int error = errno;
    log_error("set the flags of mount ", target, ": ", Errno{error});
    return error;
}

int move_mount_point(const char* source, const char* target) noexcept {
    if (::mount(source, target, nullptr, MS_MOVE, nullptr) == 0)
        return 0;
    const int error = errno;
    log_error("move mount ", source, " to ", target, ": ", Errno{error});
    return error;
}

bool is_mount_point(const char* path) noexcept {
    struct stat status {};
    struct stat parent {};
    const Path above(path, "/..");
    return ::stat(path, &status) == 0 && ::stat(above.c_str(), &parent) == 0 &&
           (status.st_dev != parent.st_dev || status.st_ino == parent.st_ino);
}

bool parse_mount_point(std::string_view line, Path& mount_point) noexcept {
    // proc(5): id, parent, major:minor, root, mount point, ...
    std::string_view rest = line;
    std::string_view field;
    for (int i = 0; i < 5; ++i) {
        const auto part = next_part(rest, ' ');
        if (!part)
            return false;
        field = *part;
    }
    if (!field.starts_with('/'))
        return false;
    mount_point.clear();
    for (std::size_t i = 0; i < field.size(); ++i) {
        const auto is_octal = [&](std::size_t at) {
            return field[at] >= '0' && field[at] <= '7';
        };
        if (field[i] == '\\' && i + 3 < field.size() && is_octal(i + 1) && is_octal(i + 2) && is_octal(i + 3)) {
            mount_point.add(
                static_cast<char>((field[i + 1] - '0') << 6 | (field[i + 2] - '0') << 3 | (field[i + 3] - '0')));
            i += 3;
        } else {
            mount_point.add(field[i]);
        }
    }
    return !mount_point.truncated();
}

namespace {

/// A thousand mounts. What does not fit is seen in the next round, when the rest is gone.
using MountTable = Text<std::size_t{256} * 1024>;

MountTable& mountinfo() noexcept {
    static MountTable text;
    text.clear();
    if (const int error = read_text("/proc/self/mountinfo", text); error != 0)
        log_error("read /proc/self/mountinfo: ", Errno{error});
    return text;
}

/// These stay: PID 1 needs them until the end and they lose nothing.
bool is_kept(std::string_view path) noexcept {
    for (const std::string_view kept : {"/", "/proc", "/sys", "/dev", "/run"}) {
        if (path == kept)
            return true;
    }
    return path.starts_with("/sys/") || path.starts_with("/proc/");
}

/// Unmounts what can be unmounted; returns how many, and sets how many are left.
std::size_t unmount_round(std::size_t& left) noexcept {
    std::size_t done = 0;
    left = 0;
    std::string_view rest = trimmed(mountinfo().view());
    Path path;
    while (!rest.empty()) {
        const std::size_t end = rest.rfind('\n');
        const std::string_view line = end == std::string_view::npos ? rest : skip(rest, end + 1);
        rest = end == std::string_view::npos ? std::string_view() : std::string_view(rest.data(), end);
        if (!parse_mount_point(line, path) || is_kept(path.view()))
            continue;
        if (::umount2(path.c_str(), UMOUNT_NOFOLLOW) == 0)
            ++done;
        else
            ++left;
    }
    return done;
}

void report_left() noexcept {
    std::string_view rest = mountinfo().view();
    Path path;
    while (const auto line = next_part(rest, '\n')) {
        if (parse_mount_point(*line, path) && !is_kept(path.view()))
            log_warning("still mounted: ", path.view());
    }
}

} // namespace

void unmount_all() noexcept {
    std::size_t left = 0;
    for (int round = 0; round < 8 && unmount_round(left) > 0 && left > 0; ++round) {
    }
    if (left > 0)
        report_left();
    // Not MS_BIND: this is about the file system under the deployment, and with it /sysroot, /var and /etc.
    if (::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0)
        log_error("remount / read-only: ", Errno{errno});
}

void thaw(const char* path) noexcept {
    const base::UniqueFd fd(::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd)
        return;
    // EINVAL: not frozen, which is as it should be.
    if (::ioctl(fd.get(), FITHAW, 0) == 0)
        log_notice("thawed ", path);
}

} // namespace init
