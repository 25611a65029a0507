// Stage: namespaces.
#include <linux/magic.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <cstring>

#include "runtime/child.hpp"
#include "runtime/kernel.hpp"

namespace engine::runtime {

namespace {

int bring_up_loopback(Child& child) noexcept {
    const kernel::Fd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket_fd.valid())
        return child.fail_errno(Operation::open);
    ifreq request{};
    std::memcpy(request.ifr_name, "lo", 3);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(socket_fd.get(), SIOCSIFFLAGS, &request) < 0)
        return child.fail_errno(Operation::ioctl);
    return 0;
}

/// Identity 0 of the user namespace: needed for its owner's capabilities to be used on files as well.
int become_root(Child& child) noexcept {
    // setgroups may be denied in a namespace of another; the groups are set, or that fails, with the identity.
    if (setresgid(0, 0, 0) < 0)
        return child.fail_errno(Operation::setgid);
    if (setresuid(0, 0, 0) < 0)
        return child.fail_errno(Operation::setuid);
    return 0;
}

/// The host's procfs, certainly that, before anything of the container's could be in its place. -1 and errno.
int open_host_procfs(Child& child) noexcept {
    child.procfs = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (child.procfs < 0)
        return child.fail_errno(Operation::open);
    if (kernel::file_system_magic(child.procfs) != PROC_SUPER_MAGIC)
        return child.fail(Operation::not_procfs, ENODEV);
    return 0;
}

/// Opened before our identity changes: the kernel asks for the opener's CAP_SYS_TIME.
int open_time_offsets(const Child& child) noexcept {
    constexpr const char* path = "self/timens_offsets";
    int fd = kernel::open_procfs(child.procfs, path, O_WRONLY);
    // The files of a process that cannot be dumped are root's. Without root we made the user namespace a moment ago
    // and nobody is in it but us: nobody who could not trace the runtime as well may trace us meanwhile.
    if (fd < 0 && errno == EACCES && (child.container->clone_flags & CLONE_NEWUSER) != 0 &&
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0) {
        fd = kernel::open_procfs(child.procfs, path, O_WRONLY);
        const int saved = errno;
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        errno = saved;
    }
    return fd;
}

/// unshare(2) puts only children into a time namespace, and its offsets must be written before anybody is in it.
int enter_time_namespace(Child& child, int offsets) noexcept {
    const std::string& text = child.container->time_offsets;
    if (!text.empty() && write(offsets, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return child.fail_errno(Operation::time_offsets);
    const kernel::Fd made(openat(child.procfs, "self/ns/time_for_children", O_RDONLY | O_CLOEXEC));
    if (!made.valid())
        return child.fail_errno(Operation::open);
    return setns(made.get(), CLONE_NEWTIME) < 0 ? child.fail_errno(Operation::setns) : 0;
}

int join_by_path(Child& child, bool& root_taken) noexcept {
    const ContainerPlan& plan = *child.container;
    for (std::size_t index = 0; index < plan.joined.size(); ++index) {
        child.index = static_cast<int>(index);
        const JoinedNamespace& joined = plan.joined[index];
        if (joined.flag == CLONE_NEWPID || &joined == plan.made_inside())
            continue; // we are in it
        if (setns(joined.fd.get(), joined.flag) < 0)
            return child.fail_errno(Operation::setns);
        if (joined.flag == CLONE_NEWUSER) {
            if (const int error = become_root(child))
                return error;
            root_taken = true;
        }
    }
    child.index = -1;
    return 0;
}

} // namespace

int join_namespaces(Child& child) noexcept {
    const bool makes_time = child.container != nullptr && (child.container->unshare_flags & CLONE_NEWTIME) != 0;
    if (makes_time || !child.process.apparmor.empty())
        if (const int error = open_host_procfs(child))
            return error;
    if (child.exec != nullptr) {
        // All at once: the kernel checks them as one and joins the user namespace first. The pid namespace was
        // joined by our parent, we are in it.
        const int namespaces = child.exec->namespaces & ~CLONE_NEWPID;
        if (namespaces != 0 && setns(child.exec->pidfd, namespaces) < 0)
            return child.fail_errno(Operation::setns);
        const bool other_user = child.exec->become_root || (child.exec->namespaces & CLONE_NEWUSER) != 0;
        return other_user ? become_root(child) : 0;
    }
    const ContainerPlan& plan = *child.container;
    const kernel::Fd offsets(plan.time_offsets.empty() ? -1 : open_time_offsets(child));
    if (!plan.time_offsets.empty() && !offsets.valid())
        return child.fail_errno(Operation::time_offsets);
    bool root_taken = false;
    if (const int error = join_by_path(child, root_taken))
        return error;
    if (plan.user_namespace && !root_taken)
        if (const int error = become_root(child))
            return error;
    if (plan.unshare_flags != 0 && unshare(static_cast<int>(plan.unshare_flags)) < 0)
        return child.fail_errno(Operation::unshare);
    if ((plan.unshare_flags & CLONE_NEWTIME) != 0)
        if (const int error = enter_time_namespace(child, offsets.get()))
            return error;
    return plan.bring_up_loopback ? bring_up_loopback(child) : 0;
}

} // namespace engine::runtime
