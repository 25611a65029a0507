#include "runtime/own_binary.hpp"

#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "runtime/kernel.hpp"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U // Linux 6.3
#endif

namespace engine::runtime {

namespace {

constexpr const char* own_path = "/proc/self/exe";
constexpr int all_seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

bool is_protected() {
    struct statvfs status {};
    if (statvfs(own_path, &status) == 0 && (status.f_flag & ST_RDONLY) != 0)
        return true;
    const base::UniqueFd own(open(own_path, O_RDONLY | O_CLOEXEC));
    const int seals = own ? fcntl(own.get(), F_GET_SEALS) : -1; // -1: no file in memory, and every bit set
    return seals >= 0 && (seals & all_seals) == all_seals;
}

/// The file on a mount of its own that is read-only and in no mount namespace: no path and no privilege that a
/// container could have makes it writable again.
base::UniqueFd readonly_mount() {
    base::UniqueFd tree(kernel::open_tree(AT_FDCWD, own_path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    if (tree && kernel::mount_setattr(tree.get(), 0, MOUNT_ATTR_RDONLY, 0, 0) < 0)
        tree.reset();
    return tree;
}

base::UniqueFd sealed_copy() {
    const base::UniqueFd own(base::check(open(own_path, O_RDONLY | O_CLOEXEC), "open /proc/self/exe"));
    base::UniqueFd copy(memfd_create("ocirun", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC));
    if (!copy && errno == EINVAL)
        copy.reset(memfd_create("ocirun", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!copy)
        base::throw_errno("memfd_create for the runtime's own program");
    for (ssize_t sent = 1; sent > 0;)
        sent = base::check(sendfile(copy.get(), own.get(), nullptr, 1 << 22), "copy the runtime's own program");
    base::check(fcntl(copy.get(), F_ADD_SEALS, all_seals), "seal the copy of the runtime's own program");
    return copy;
}

} // namespace

void protect_own_binary(char* const* argv) {
    // Processes in the container's pid namespace cannot trace us, nor follow /proc/PID/exe, while we are among them.
    base::check(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl PR_SET_DUMPABLE");
    if (is_protected())
        return;
    base::UniqueFd program = readonly_mount();
    if (!program)
        program = sealed_copy();
    syscall(SYS_execveat, program.get(), "", argv, environ, AT_EMPTY_PATH);
    base::throw_errno("run the runtime from a protected copy of itself");
}

void close_inherited_descriptors(unsigned preserve) {
    for (unsigned fd = 3; fd < 3 + preserve; ++fd)
        base::check(fcntl(static_cast<int>(fd), F_GETFD), "preserve descriptor " + std::to_string(fd));
    base::check(kernel::close_range(3 + preserve, ~0U, 0), "close inherited descriptors");
}

} // namespace engine::runtime
