// Stages: device nodes and the terminal.
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#include <cstring>

#include "runtime/child.hpp"
#include "runtime/kernel.hpp"

// linux/magic.h of Debian 12 has it under this name; some kernels' headers do not.
#ifndef DEVPTS_SUPER_MAGIC
#define DEVPTS_SUPER_MAGIC 0x1cd1
#endif

namespace engine::runtime {

namespace {

struct Link {
    const char* path;
    const char* target;
};
constexpr Link links[] = {
    {"/dev/fd", "/proc/self/fd"},       {"/dev/stdin", "/proc/self/fd/0"}, {"/dev/stdout", "/proc/self/fd/1"},
    {"/dev/stderr", "/proc/self/fd/2"}, {"/dev/ptmx", "pts/ptmx"},
};

bool is_device(const struct stat& status, const PlannedDevice& device) noexcept {
    return (status.st_mode & S_IFMT) == (device.mode & S_IFMT) &&
           (S_ISFIFO(device.mode) || status.st_rdev == makedev(device.major, device.minor));
}

/// 0 when `name` is to be made, EEXIST when it is the node already; another error when it is something else.
int look_at_place(Child& child, int parent, const char* name, const PlannedDevice& device) noexcept {
    struct stat status {};
    if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (is_device(status, device))
        return EEXIST;
    if (!device.may_replace) // "the runtime MUST generate an error"
        return child.fail(Operation::other_file, ENOTUNIQ);
    unlinkat(parent, name, S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0);
    return 0;
}

int make_node(Child& child, const PlannedDevice& device) noexcept {
    const char* name = nullptr;
    const kernel::Fd parent(kernel::make_parent_in_root(child.root, device.path.c_str(), name));
    if (!parent.valid())
        return child.fail_errno(Operation::make_path);
    const int place = look_at_place(child, parent.get(), name, device);
    if (place != 0 && place != EEXIST)
        return place;
    if (place == 0 && mknodat(parent.get(), name, device.mode, makedev(device.major, device.minor)) < 0)
        return child.fail_errno(Operation::mknod);
    // The umask is 0 here (see start_session), so the mode is as asked.
    if (fchownat(parent.get(), name, device.uid, device.gid, AT_SYMLINK_NOFOLLOW) < 0)
        return child.fail_errno(Operation::chown);
    return 0;
}

/// Mounts `tree` on the file `path`, made when missing. Not followed: a symlink of the image's could put the device
/// over any file of the container.
int cover_file(Child& child, int tree, const char* path) noexcept {
    const char* name = nullptr;
    const kernel::Fd parent(kernel::make_parent_in_root(child.root, path, name));
    if (!parent.valid())
        return child.fail_errno(Operation::make_path);
    const kernel::Fd made(openat(parent.get(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!made.valid() && errno != EEXIST)
        return child.fail_errno(Operation::open);
    const kernel::Fd destination(openat(parent.get(), name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!destination.valid())
        return child.fail_errno(Operation::open);
    return kernel::move_mount(tree, destination.get()) < 0 ? child.fail_errno(Operation::move_mount) : 0;
}

int bind_node(Child& child, const PlannedDevice& device) noexcept {
    const kernel::Fd tree(
        kernel::open_tree(AT_FDCWD, device.path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW));
    if (!tree.valid())
        return child.fail_errno(Operation::open_tree);
    struct stat status {};
    if (fstat(tree.get(), &status) < 0)
        return child.fail_errno(Operation::stat);
    if (!is_device(status, device))
        return child.fail(Operation::other_device, ENODEV);
    return cover_file(child, tree.get(), device.path.c_str());
}

int make_links(Child& child) noexcept {
    for (const Link& link : links) {
        const char* name = nullptr;
        const kernel::Fd parent(kernel::make_parent_in_root(child.root, link.path, name));
        if (!parent.valid())
            return child.fail_errno(Operation::make_path);
        if (symlinkat(link.target, parent.get(), name) == 0)
            continue;
        if (errno != EEXIST)
            return child.fail_errno(Operation::symlink);
    }
    return 0;
}

int send_terminal(Child& child, int master) noexcept {
    constexpr char name[] = "/dev/ptmx"; // the receiver logs it, at most
    const ssize_t sent =
        kernel::send_with_descriptors(child.descriptors.console_socket, name, sizeof name - 1, &master, 1);
    return sent < 0 ? child.fail_errno(Operation::send_console) : 0;
}

int bind_console(Child& child) noexcept {
    const kernel::Fd tree(kernel::open_tree(child.terminal, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH));
    if (!tree.valid())
        return child.fail_errno(Operation::open_tree);
    return cover_file(child, tree.get(), "/dev/console");
}

} // namespace

int make_devices(Child& child) noexcept {
    const ContainerPlan& plan = *child.container;
    if (!plan.populate_dev)
        return 0;
    for (std::size_t index = 0; index < plan.devices.size(); ++index) {
        child.index = static_cast<int>(index);
        const PlannedDevice& device = plan.devices[index];
        if (const int error = device.bind ? bind_node(child, device) : make_node(child, device))
            return error;
    }
    child.index = -1;
    return make_links(child);
}

int open_console(Child& child) noexcept {
    if (!child.process.terminal)
        return 0;
    if (child.exec != nullptr && (child.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        return child.fail_errno(Operation::open);
    // The container's own devpts, so that the terminal's name there is true. Whether it is devpts is checked: what
    // the image put in its place would get everything that is typed.
    const kernel::Fd master(kernel::open_in_root(child.root, "/dev/pts/ptmx", O_RDWR | O_NOCTTY));
    if (!master.valid())
        return child.fail_errno(Operation::open);
    if (kernel::file_system_magic(master.get()) != DEVPTS_SUPER_MAGIC)
        return child.fail(Operation::no_devpts, ENODEV);
    int locked = 0;
    if (ioctl(master.get(), TIOCSPTLCK, &locked) < 0)
        return child.fail_errno(Operation::ioctl);
    child.terminal = ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (child.terminal < 0)
        return child.fail_errno(Operation::ioctl);
    if ((child.process.size.ws_row != 0 || child.process.size.ws_col != 0) &&
        ioctl(master.get(), TIOCSWINSZ, &child.process.size) < 0)
        return child.fail_errno(Operation::ioctl);
    if (fchown(child.terminal, child.process.uid, static_cast<gid_t>(-1)) < 0 && errno != EINVAL)
        return child.fail_errno(Operation::chown);
    if (child.container != nullptr && child.container->populate_dev)
        if (const int error = bind_console(child))
            return error;
    if (const int error = send_terminal(child, master.get()))
        return error;
    for (int standard = 0; standard < 3; ++standard)
        if (dup2(child.terminal, standard) < 0)
            return child.fail_errno(Operation::dup);
    if (ioctl(0, TIOCSCTTY, 0) < 0)
        return child.fail_errno(Operation::ioctl);
    return 0;
}

} // namespace engine::runtime
