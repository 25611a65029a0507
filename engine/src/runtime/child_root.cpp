// Stages: the container's root.
#include <climits>
#include <sched.h>
#include <sys/mount.h>

#include <cstring>

#include "runtime/child.hpp"
#include "runtime/kernel.hpp"

namespace engine::runtime {

namespace {

/// The mount that holds `path` is made private: a mount below a shared one would appear on the host.
int make_parent_mount_private(const char* path) noexcept {
    char prefix[PATH_MAX];
    std::size_t length = std::strlen(path);
    if (length >= sizeof prefix)
        return ENAMETOOLONG;
    std::memcpy(prefix, path, length + 1);
    for (;;) {
        if (mount(nullptr, prefix, nullptr, MS_PRIVATE, nullptr) == 0)
            return 0;
        if (errno != EINVAL || length <= 1) // EINVAL: not a mount point, look further up
            return errno;
        while (length > 1 && prefix[length - 1] != '/')
            --length;
        if (length > 1)
            --length;
        prefix[length] = '\0';
    }
}

} // namespace

int prepare_root(Child& child) noexcept {
    const ContainerPlan& plan = *child.container;
    if (!plan.own_mounts) {
        child.root = open(plan.rootfs.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
        return child.root < 0 ? child.fail_errno(Operation::open) : 0;
    }
    if (plan.rootfs_propagation == MS_SHARED) {
        if (const int error = make_parent_mount_private(plan.rootfs.c_str()))
            return child.fail(Operation::mount, error);
    } else {
        // A slave by default: what the host unmounts meanwhile does not stay busy in here.
        const unsigned long propagation = plan.rootfs_propagation == MS_PRIVATE ? MS_PRIVATE : MS_SLAVE;
        if (mount(nullptr, "/", nullptr, propagation | MS_REC, nullptr) < 0)
            return child.fail_errno(Operation::mount);
    }
    // The root as a mount of its own, as pivot_root(2) needs it. Moving it over itself keeps its path for hooks.
    const kernel::Fd below(open(plan.rootfs.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!below.valid())
        return child.fail_errno(Operation::open);
    child.root = kernel::open_tree(below.get(), "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
    if (child.root < 0)
        return child.fail_errno(Operation::open_tree);
    if (kernel::move_mount(child.root, below.get()) < 0)
        return child.fail_errno(Operation::move_mount);
    return 0;
}

int change_root(Child& child) noexcept {
    const ContainerPlan& plan = *child.container;
    if (fchdir(child.root) < 0)
        return child.fail_errno(Operation::chdir);
    if (!plan.own_mounts) {
        if (chroot(".") < 0)
            return child.fail_errno(Operation::chroot);
        return chdir("/") < 0 ? child.fail_errno(Operation::chdir) : 0;
    }
    if (plan.no_pivot) {
        // For a host on an initramfs, whose root cannot be pivoted away from.
        if (mount(".", "/", nullptr, MS_MOVE, nullptr) < 0)
            return child.fail_errno(Operation::move_mount);
        if (chroot(".") < 0)
            return child.fail_errno(Operation::chroot);
    } else {
        // The old root is put over the new one, and from there unmounted: no directory is needed for it.
        const kernel::Fd old_root(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!old_root.valid())
            return child.fail_errno(Operation::open);
        if (kernel::pivot_root(".", ".") < 0)
            return child.fail_errno(Operation::pivot_root);
        if (fchdir(old_root.get()) < 0)
            return child.fail_errno(Operation::chdir);
        if (plan.rootfs_propagation == MS_SHARED && mount(nullptr, ".", nullptr, MS_SLAVE | MS_REC, nullptr) < 0)
            return child.fail_errno(Operation::mount); // or the host's mounts would go, too
        if (umount2(".", MNT_DETACH) < 0)
            return child.fail_errno(Operation::umount);
    }
    if (chdir("/") < 0)
        return child.fail_errno(Operation::chdir);
    if (plan.rootfs_propagation != 0 && mount(nullptr, "/", nullptr, plan.rootfs_propagation, nullptr) < 0)
        return child.fail_errno(Operation::mount);
    return 0;
}

} // namespace engine::runtime
