#include "runtime/copy_up.hpp"

#include <climits>
#include <sys/sendfile.h>

#include <cstring>

#include "runtime/kernel.hpp"

namespace engine::runtime {

namespace {

constexpr int max_depth = 32; // of directories: each takes a buffer of the stack

struct Entry { // struct linux_dirent64
    std::uint64_t inode;
    std::int64_t offset;
    std::uint16_t length;
    std::uint8_t type;
    char name[1];
};

int copy_file(int from, int to, const char* name, const struct stat& status) noexcept {
    const kernel::Fd source(openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    const kernel::Fd target(openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!source.valid() || !target.valid())
        return errno;
    for (ssize_t sent = 1; sent > 0;) {
        sent = sendfile(target.get(), source.get(), nullptr, 1 << 20);
        if (sent < 0)
            return errno;
    }
    if (fchown(target.get(), status.st_uid, status.st_gid) < 0 || fchmod(target.get(), status.st_mode & 07777) < 0)
        return errno;
    return 0;
}

int copy_symlink(int from, int to, const char* name, const struct stat& status) noexcept {
    char target[PATH_MAX];
    const ssize_t length = readlinkat(from, name, target, sizeof target - 1);
    if (length < 0)
        return errno;
    target[length] = '\0';
    if (symlinkat(target, to, name) < 0 || fchownat(to, name, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
        return errno;
    return 0;
}

int copy_directory(int from, int to, dev_t device, int depth) noexcept;

int copy_entry(int from, int to, const char* name, dev_t device, int depth) noexcept {
    struct stat status {};
    if (fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno;
    if (S_ISREG(status.st_mode))
        return copy_file(from, to, name, status);
    if (S_ISLNK(status.st_mode))
        return copy_symlink(from, to, name, status);
    if (!S_ISDIR(status.st_mode) || status.st_dev != device)
        return 0;
    if (mkdirat(to, name, 0700) < 0)
        return errno;
    const kernel::Fd target(openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    const kernel::Fd source(openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!target.valid() || !source.valid())
        return errno;
    if (const int error = copy_directory(source.get(), target.get(), device, depth + 1))
        return error;
    if (fchown(target.get(), status.st_uid, status.st_gid) < 0 || fchmod(target.get(), status.st_mode & 07777) < 0)
        return errno;
    return 0;
}

int copy_directory(int from, int to, dev_t device, int depth) noexcept {
    if (depth > max_depth)
        return ELOOP;
    alignas(Entry) char buffer[4096];
    for (;;) {
        const long size = syscall(SYS_getdents64, from, buffer, sizeof buffer);
        if (size <= 0)
            return size < 0 ? errno : 0;
        for (long offset = 0; offset < size;) {
            const auto* entry = reinterpret_cast<const Entry*>(buffer + offset);
            const char* const name = buffer + offset + offsetof(Entry, name);
            offset += entry->length;
            if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0)
                continue;
            if (const int error = copy_entry(from, to, name, device, depth))
                return error;
        }
    }
}

} // namespace

int copy_up(int from, int to) noexcept {
    // `from` is an O_PATH descriptor.
    const kernel::Fd source(openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat status {};
    if (!source.valid() || fstat(source.get(), &status) < 0)
        return errno;
    return copy_directory(source.get(), to, status.st_dev, 0);
}

} // namespace engine::runtime
