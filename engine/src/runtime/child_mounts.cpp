// Stages: the mounts of config.json, masked and read-only paths.
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include <climits>
#include <cstdio>
#include <cstring>

#include "runtime/child.hpp"
#include "runtime/copy_up.hpp"
#include "runtime/kernel.hpp"

namespace engine::runtime {

namespace {

constexpr unsigned recursively = AT_RECURSIVE;

/// The same attributes for mount(2).
unsigned long classic_flags(std::uint64_t attributes) noexcept {
    unsigned long flags = attributes & (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    const std::uint64_t atime = attributes & MOUNT_ATTR__ATIME;
    if (atime == MOUNT_ATTR_NOATIME)
        flags |= MS_NOATIME;
    else if (atime == MOUNT_ATTR_STRICTATIME)
        flags |= MS_STRICTATIME;
    if ((attributes & MOUNT_ATTR_NODIRATIME) != 0)
        flags |= MS_NODIRATIME;
    if ((attributes & MOUNT_ATTR_NOSYMFOLLOW) != 0)
        flags |= MS_NOSYMFOLLOW;
    return flags;
}

/// The file system's own options; false: errno.
bool configure(int context, const PlannedMount& planned) noexcept {
    for (const auto& [key, value] : planned.data) {
        const int result = value.empty() ? kernel::fsconfig(context, FSCONFIG_SET_FLAG, key.c_str(), nullptr)
                                         : kernel::fsconfig(context, FSCONFIG_SET_STRING, key.c_str(), value.c_str());
        if (result < 0)
            return false;
    }
    return true;
}

/// A new, unattached mount of the file system; -1.
int new_file_system(Child& child, const PlannedMount& planned) noexcept {
    const kernel::Fd context(kernel::fsopen(planned.type.c_str()));
    if (!context.valid()) {
        child.operation = Operation::fsopen;
        return -1;
    }
    child.operation = Operation::fsconfig;
    if (!planned.source.empty() &&
        kernel::fsconfig(context.get(), FSCONFIG_SET_STRING, "source", planned.source.c_str()) < 0)
        return -1;
    if (!configure(context.get(), planned) ||
        kernel::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr) < 0)
        return -1;
    child.operation = Operation::fsmount;
    return kernel::fsmount(context.get(), planned.set);
}

/// Attributes and propagation that are not given when the mount is made.
int set_attributes(Child& child, int mount_fd, const PlannedMount& planned) noexcept {
    const bool there_already = planned.kind != PlannedMount::Kind::file_system; // else fsmount(2) took them
    const std::uint64_t set = there_already ? planned.set : 0;
    if (set != 0 || (there_already && planned.clear != 0))
        if (kernel::mount_setattr(mount_fd, 0, set, planned.clear, 0) < 0)
            return child.fail_errno(Operation::mount_setattr);
    if (planned.recursive_set != 0 || planned.recursive_clear != 0)
        if (kernel::mount_setattr(mount_fd, AT_RECURSIVE, planned.recursive_set, planned.recursive_clear, 0) < 0)
            return child.fail_errno(Operation::mount_setattr);
    if (planned.propagation != 0)
        if (kernel::mount_setattr(mount_fd, planned.propagation_recursive ? AT_RECURSIVE : 0, 0, 0,
                                  planned.propagation) < 0)
            return child.fail_errno(Operation::mount_setattr);
    return 0;
}

/// A mount over a file of procfs could hide what the runtime itself relies on; an image can lead it there by symlinks.
int check_destination(Child& child, const PlannedMount& planned, int destination) noexcept {
    if (!planned.over_procfs && kernel::file_system_magic(destination) == PROC_SUPER_MAGIC)
        return child.fail(Operation::over_procfs, EPERM);
    return 0;
}

int mount_by_path(Child& child, const PlannedMount& planned, int destination) noexcept {
    // The host's procfs is still what /proc is: the root has not changed yet.
    char path[32];
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", destination);
    unsigned long flags = classic_flags(planned.set);
    if (planned.inode_versions)
        flags |= MS_I_VERSION;
    if (mount(planned.source.c_str(), path, planned.type.c_str(), flags, planned.joined_data.c_str()) < 0)
        return child.fail_errno(Operation::mount);
    if (planned.propagation == 0 && planned.recursive_set == 0)
        return 0;
    const kernel::Fd mounted(
        kernel::open_in_root(child.root, planned.destination.c_str(), O_PATH | O_DIRECTORY, 0, planned.no_symlinks));
    return mounted.valid() ? set_attributes(child, mounted.get(), planned) : child.fail_errno(Operation::open);
}

int mount_file_system(Child& child, const PlannedMount& planned) noexcept {
    const kernel::Fd destination(
        kernel::make_directory_in_root(child.root, planned.destination.c_str(), planned.no_symlinks));
    if (!destination.valid())
        return child.fail_errno(Operation::make_path);
    if (const int error = check_destination(child, planned, destination.get()))
        return error;
    if (planned.by_mount_call)
        return mount_by_path(child, planned, destination.get());
    const kernel::Fd mounted(new_file_system(child, planned));
    if (!mounted.valid())
        return errno;
    if (planned.id_mapped && kernel::map_ids(mounted.get(), 0, planned.id_map.get()) < 0)
        return child.fail_errno(Operation::map_ids);
    if (planned.copy_up)
        if (const int error = copy_up(destination.get(), mounted.get()))
            return child.fail(Operation::copy, error);
    if (kernel::move_mount(mounted.get(), destination.get()) < 0)
        return child.fail_errno(Operation::move_mount);
    return set_attributes(child, mounted.get(), planned);
}

/// -1: errno.
int open_source(const PlannedMount& planned) noexcept {
    constexpr unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    if (!planned.own_cgroup)
        return kernel::open_tree(AT_FDCWD, planned.source.c_str(), flags | (planned.recursive ? recursively : 0U));
    char path[PATH_MAX];
    if (planned.source.size() >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    std::strcpy(path, planned.source.c_str());
    return kernel::append_own_cgroup(path, sizeof path) ? kernel::open_tree(AT_FDCWD, path, flags) : -1;
}

int mount_bind(Child& child, const PlannedMount& planned) noexcept {
    const kernel::Fd made(planned.tree ? -1 : open_source(planned));
    const int tree = planned.tree ? planned.tree.get() : made.get();
    if (tree < 0)
        return child.fail_errno(Operation::open_tree);
    struct stat status {};
    if (fstat(tree, &status) < 0)
        return child.fail_errno(Operation::stat);
    if (const int error = set_attributes(child, tree, planned))
        return error;
    const kernel::Fd destination(S_ISDIR(status.st_mode)
                                     ? kernel::make_directory_in_root(child.root, planned.destination.c_str())
                                     : kernel::make_file_in_root(child.root, planned.destination.c_str()));
    if (!destination.valid())
        return child.fail_errno(Operation::make_path);
    struct stat there {};
    if (fstat(destination.get(), &there) < 0)
        return child.fail_errno(Operation::stat);
    if (S_ISDIR(there.st_mode) && !S_ISDIR(status.st_mode))
        return child.fail(Operation::make_path, EISDIR);
    if (const int error = check_destination(child, planned, destination.get()))
        return error;
    if (kernel::move_mount(tree, destination.get()) < 0)
        return child.fail_errno(Operation::move_mount);
    return 0;
}

/// As mount(8) has it, but what is not named stays as it is.
int remount(Child& child, const PlannedMount& planned) noexcept {
    const kernel::Fd mounted(
        kernel::open_in_root(child.root, planned.destination.c_str(), O_PATH, 0, planned.no_symlinks));
    if (!mounted.valid())
        return child.fail_errno(Operation::open);
    if (!planned.data.empty()) {
        const kernel::Fd context(kernel::fspick(mounted.get()));
        if (!context.valid())
            return child.fail_errno(Operation::fspick);
        if (!configure(context.get(), planned) ||
            kernel::fsconfig(context.get(), FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr) < 0)
            return child.fail_errno(Operation::fsconfig);
    }
    return set_attributes(child, mounted.get(), planned);
}

int make_mount(Child& child, const PlannedMount& planned) noexcept {
    switch (planned.kind) {
    case PlannedMount::Kind::bind:
        return mount_bind(child, planned);
    case PlannedMount::Kind::remount:
        return remount(child, planned);
    case PlannedMount::Kind::file_system:
        break;
    }
    return mount_file_system(child, planned);
}

/// The host's null device, checked: binding whatever else is there over a secret would show that instead.
int open_null_device(Child& child) noexcept {
    const int fd = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat status {};
    if (fd < 0 || fstat(fd, &status) < 0) {
        child.operation = Operation::open;
        return -1;
    }
    if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(1, 3)) {
        child.operation = Operation::wrong_device;
        errno = ENODEV;
        return -1;
    }
    return fd;
}

int new_empty_directory(Child& child) noexcept {
    const kernel::Fd context(kernel::fsopen("tmpfs"));
    child.operation = Operation::fsopen;
    if (!context.valid() || kernel::fsconfig(context.get(), FSCONFIG_SET_STRING, "mode", "0555") < 0 ||
        kernel::fsconfig(context.get(), FSCONFIG_SET_STRING, "nr_inodes", "1") < 0 ||
        kernel::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr) < 0)
        return -1;
    child.operation = Operation::fsmount;
    return kernel::fsmount(context.get(), MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

} // namespace

int mount_all(Child& child) noexcept {
    const ContainerPlan& plan = *child.container;
    for (std::size_t index = 0; index < plan.mounts.size(); ++index) {
        child.index = static_cast<int>(index);
        if (const int error = make_mount(child, plan.mounts[index]))
            return error;
    }
    return 0;
}

int mask_paths(Child& child) noexcept {
    const ContainerPlan& plan = *child.container;
    if (plan.masked_paths.empty())
        return 0;
    const kernel::Fd null_device(open_null_device(child));
    if (!null_device.valid())
        return errno;
    // One tmpfs: mounted on the first directory and cloned from there for the others. Before Linux 6.15 a mount that
    // is not attached cannot be cloned.
    int empty = -1;
    for (std::size_t index = 0; index < plan.masked_paths.size(); ++index) {
        child.index = static_cast<int>(index);
        const kernel::Fd path(kernel::open_in_root(child.root, plan.masked_paths[index].c_str(), O_PATH));
        if (!path.valid()) {
            if (errno == ENOENT || errno == ENOTDIR)
                continue; // nothing to hide
            return child.fail_errno(Operation::open);
        }
        struct stat status {};
        if (fstat(path.get(), &status) < 0)
            return child.fail_errno(Operation::stat);
        int mask = null_device.get();
        if (S_ISDIR(status.st_mode)) {
            if (empty < 0) {
                if ((empty = new_empty_directory(child)) < 0)
                    return errno;
                if (kernel::move_mount(empty, path.get()) < 0)
                    return child.fail_errno(Operation::move_mount);
                continue;
            }
            mask = empty;
        }
        const kernel::Fd clone(kernel::open_tree(mask, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH));
        if (!clone.valid())
            return child.fail_errno(Operation::open_tree);
        if (kernel::move_mount(clone.get(), path.get()) < 0)
            return child.fail_errno(Operation::move_mount);
    }
    if (empty >= 0)
        close(empty);
    return 0;
}

int make_paths_readonly(Child& child) noexcept {
    const ContainerPlan& plan = *child.container;
    for (std::size_t index = 0; index < plan.readonly_paths.size(); ++index) {
        child.index = static_cast<int>(index);
        const kernel::Fd path(kernel::open_in_root(child.root, plan.readonly_paths[index].c_str(), O_PATH));
        if (!path.valid()) {
            if (errno == ENOENT || errno == ENOTDIR)
                continue;
            return child.fail_errno(Operation::open);
        }
        const kernel::Fd tree(
            kernel::open_tree(path.get(), "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE));
        if (!tree.valid())
            return child.fail_errno(Operation::open_tree);
        if (kernel::mount_setattr(tree.get(), AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0, 0) < 0)
            return child.fail_errno(Operation::mount_setattr);
        if (kernel::move_mount(tree.get(), path.get()) < 0)
            return child.fail_errno(Operation::move_mount);
    }
    return 0;
}

int make_mounts_readonly(Child& child) noexcept {
    const ContainerPlan& plan = *child.container;
    for (std::size_t index = 0; index < plan.mounts.size(); ++index) {
        if (!plan.mounts[index].late_readonly)
            continue;
        child.index = static_cast<int>(index);
        const kernel::Fd path(kernel::open_in_root(child.root, plan.mounts[index].destination.c_str(), O_PATH));
        if (!path.valid())
            return child.fail_errno(Operation::open);
        if (kernel::mount_setattr(path.get(), 0, MOUNT_ATTR_RDONLY, 0, 0) < 0)
            return child.fail_errno(Operation::mount_setattr);
    }
    child.index = -1;
    if (plan.readonly_rootfs && kernel::mount_setattr(child.root, 0, MOUNT_ATTR_RDONLY, 0, 0) < 0)
        return child.fail_errno(Operation::mount_setattr);
    return 0;
}

int private_procfs() noexcept {
    const kernel::Fd context(kernel::fsopen("proc"));
    if (!context.valid() || kernel::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr) < 0)
        return -1;
    return kernel::fsmount(context.get(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

} // namespace engine::runtime
