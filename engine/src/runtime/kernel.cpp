#include "runtime/kernel.hpp"

#include <climits>
#include <sys/socket.h>
#include <sys/vfs.h>

#include <cstring>

namespace engine::runtime::kernel {

int open_in_root(int root, const char* path, int flags, mode_t mode, bool no_symlinks) noexcept {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    how.mode = mode;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (no_symlinks ? RESOLVE_NO_SYMLINKS : 0U);
    for (int attempt = 0;; ++attempt) {
        const int fd = static_cast<int>(syscall(SYS_openat2, root, path, &how, sizeof how));
        // EAGAIN: a rename or mount elsewhere made the kernel unsure whether ".." left the root.
        if (fd >= 0 || errno != EAGAIN || attempt == 128)
            return fd;
    }
}

int open_procfs(int procfs, const char* path, int flags) noexcept {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    return static_cast<int>(syscall(SYS_openat2, procfs, path, &how, sizeof how));
}

int make_directory_in_root(int root, const char* path, bool no_symlinks) noexcept {
    constexpr int flags = O_PATH | O_DIRECTORY;
    const int found = open_in_root(root, path, flags, 0, no_symlinks);
    if (found >= 0 || errno != ENOENT)
        return found;
    char prefix[PATH_MAX];
    const std::size_t length = std::strlen(path);
    if (length >= sizeof prefix) {
        errno = ENAMETOOLONG;
        return -1;
    }
    std::memcpy(prefix, path, length + 1);
    int parent = open_in_root(root, "/", flags);
    for (char* component = prefix + 1; parent >= 0;) {
        char* const slash = std::strchr(component, '/');
        if (slash != nullptr)
            *slash = '\0';
        // The whole prefix is resolved again in the root: a symlink in it may lead anywhere inside.
        int next = open_in_root(root, prefix, flags, 0, no_symlinks);
        if (next < 0 && errno == ENOENT) {
            if (mkdirat(parent, component, 0755) == 0 || errno == EEXIST)
                next = open_in_root(root, prefix, flags, 0, no_symlinks);
        }
        const int saved = errno;
        ::close(parent);
        errno = saved;
        parent = next;
        if (slash == nullptr)
            break;
        *slash = '/';
        component = slash + 1;
    }
    return parent;
}

int make_parent_in_root(int root, const char* path, const char*& name) noexcept {
    char parent[PATH_MAX];
    const char* const slash = std::strrchr(path, '/');
    const std::size_t length = slash == nullptr ? 0 : static_cast<std::size_t>(slash - path);
    if (length >= sizeof parent) {
        errno = ENAMETOOLONG;
        return -1;
    }
    name = slash == nullptr ? path : slash + 1;
    if (length == 0)
        return open_in_root(root, "/", O_PATH | O_DIRECTORY);
    std::memcpy(parent, path, length);
    parent[length] = '\0';
    return make_directory_in_root(root, parent);
}

int make_file_in_root(int root, const char* path) noexcept {
    const int found = open_in_root(root, path, O_PATH);
    if (found >= 0 || errno != ENOENT)
        return found;
    const char* name = nullptr;
    const Fd parent(make_parent_in_root(root, path, name));
    if (!parent.valid())
        return -1;
    // O_EXCL: a dangling symlink of the image's is not followed to make a file elsewhere.
    const Fd made(openat(parent.get(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (!made.valid() && errno != EEXIST)
        return -1;
    return open_in_root(root, path, O_PATH);
}

bool append_own_cgroup(char* path, std::size_t size) noexcept {
    char text[PATH_MAX + 512];
    const Fd file(open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC));
    const ssize_t length = file.valid() ? read(file.get(), text, sizeof text - 1) : -1;
    if (length < 0)
        return false;
    text[length] = '\0';
    // Lines "ID:CONTROLLERS:PATH"; that of version 2 begins with "0::".
    const char* line = std::strncmp(text, "0::", 3) == 0 ? text : std::strstr(text, "\n0::");
    const char* const end = line == nullptr ? nullptr : std::strchr(line + 1, '\n');
    if (end == nullptr) {
        errno = ENOENT;
        return false;
    }
    line = std::strchr(line, '/');
    const std::size_t used = std::strlen(path), more = static_cast<std::size_t>(end - line);
    if (used + more >= size) {
        errno = ENAMETOOLONG;
        return false;
    }
    std::memcpy(path + used, line, more);
    path[used + more] = '\0';
    return true;
}

ssize_t send_with_descriptors(int socket, const void* data, std::size_t size, const int* descriptors,
                              unsigned count) noexcept {
    iovec part{const_cast<void*>(data), size};
    alignas(cmsghdr) char control[CMSG_SPACE(most_sent_descriptors * sizeof(int))]{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (count > most_sent_descriptors) {
        errno = EINVAL;
        return -1;
    }
    if (count != 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        cmsghdr* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        std::memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
    }
    return syscall(SYS_sendmsg, socket, &message, MSG_NOSIGNAL);
}

long file_system_magic(int fd) noexcept {
    struct statfs status {};
    return fstatfs(fd, &status) < 0 ? -1L : static_cast<long>(status.f_type);
}

} // namespace engine::runtime::kernel
