// System calls that glibc 2.36 has no wrapper for, and those of paths in a root. For use between clone and exec:
// nothing here allocates or throws; failure is -1 and errno, as in the kernel's own manner.
#pragma once
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace engine::runtime::kernel {

inline int open_tree(int dirfd, const char* path, unsigned flags) noexcept {
    return static_cast<int>(syscall(SYS_open_tree, dirfd, path, flags));
}
inline int move_mount(int from, int to) noexcept {
    return static_cast<int>(
        syscall(SYS_move_mount, from, "", to, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
}
inline int fsopen(const char* type) noexcept {
    return static_cast<int>(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
}
inline int fsconfig(int fd, unsigned command, const char* key, const char* value) noexcept {
    return static_cast<int>(syscall(SYS_fsconfig, fd, command, key, value, 0));
}
inline int fsmount(int fd, std::uint64_t attributes) noexcept {
    return static_cast<int>(syscall(SYS_fsmount, fd, FSMOUNT_CLOEXEC, attributes));
}
inline int mount_setattr(int fd, unsigned flags, std::uint64_t set, std::uint64_t clear,
                         std::uint64_t propagation) noexcept {
    mount_attr attributes{set, clear, propagation, 0};
    return static_cast<int>(syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | flags, &attributes, sizeof attributes));
}
/// `user_namespace` is a descriptor of the namespace whose mapping the mount takes.
inline int map_ids(int fd, unsigned flags, int user_namespace) noexcept {
    mount_attr attributes{MOUNT_ATTR_IDMAP, 0, 0, static_cast<std::uint64_t>(user_namespace)};
    return static_cast<int>(syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | flags, &attributes, sizeof attributes));
}
inline int fspick(int fd) noexcept {
    return static_cast<int>(syscall(SYS_fspick, fd, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH | FSPICK_NO_AUTOMOUNT));
}
inline int clone3(clone_args& arguments) noexcept {
    return static_cast<int>(syscall(SYS_clone3, &arguments, sizeof arguments));
}
inline int pivot_root(const char* new_root, const char* put_old) noexcept {
    return static_cast<int>(syscall(SYS_pivot_root, new_root, put_old));
}
inline int close_range(unsigned first, unsigned last, unsigned flags) noexcept {
    return static_cast<int>(syscall(SYS_close_range, first, last, flags));
}
inline int pidfd_send_signal(int pidfd, int signal) noexcept {
    return static_cast<int>(syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0));
}
inline int pidfd_open(pid_t pid) noexcept {
    return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

/// A descriptor of the child's: closed at the end of the scope, without base's owner's promise of never being retried
/// mattering here.
class Fd {
public:
    explicit Fd(int fd) noexcept : fd_(fd) {}
    ~Fd() {
        if (fd_ >= 0) {
            const int saved = errno;
            ::close(fd_);
            errno = saved;
        }
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    int get() const noexcept { return fd_; }
    bool valid() const noexcept { return fd_ >= 0; }

private:
    int fd_;
};

/// openat2(2) below `root` as if it were "/": symlinks and ".." stay inside, magic links are refused.
int open_in_root(int root, const char* path, int flags, mode_t mode = 0, bool no_symlinks = false) noexcept;

/// Of a procfs' root: what is mounted over its files, and links of processes, are refused.
int open_procfs(int procfs, const char* path, int flags) noexcept;

/// O_PATH of the directory `path` (absolute, without "." and ".."), made with its parents (mode 0755) when missing.
int make_directory_in_root(int root, const char* path, bool no_symlinks = false) noexcept;
/// O_PATH of what is at `path`; an empty file, with its parents, when nothing is.
int make_file_in_root(int root, const char* path) noexcept;
/// O_PATH of the directory that `path` is in, made when missing; `name` is set to the last component.
int make_parent_in_root(int root, const char* path, const char*& name) noexcept;

/// Appends the process' own cgroup (version 2) to the path in `path`. False: errno.
bool append_own_cgroup(char* path, std::size_t size) noexcept;

constexpr unsigned most_sent_descriptors = 2;
/// sendmsg(2) of `data` with descriptors (SCM_RIGHTS), which go with its first byte; how much was sent. Without glibc's
/// wrapper: for threads that glibc does not know, too.
ssize_t send_with_descriptors(int socket, const void* data, std::size_t size, const int* descriptors,
                              unsigned count) noexcept;

/// Its file system's magic number (linux/magic.h), -1 when that cannot be told.
long file_system_magic(int fd) noexcept;

} // namespace engine::runtime::kernel
