#include "base/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>

#include "base/error.hpp"
#include "base/scope_exit.hpp"

namespace base {
namespace {

UniqueFd open_resolved(int dirfd, const std::string& path, int flags, mode_t mode, std::uint64_t resolve) {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    // openat2 refuses a mode when nothing can be created.
    how.mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? mode : 0;
    how.resolve = resolve | RESOLVE_NO_MAGICLINKS;
    for (;;) {
        const long fd = ::syscall(SYS_openat2, dirfd, path.c_str(), &how, sizeof how);
        if (fd >= 0)
            return UniqueFd(static_cast<int>(fd));
        // EAGAIN: a rename raced with the resolution; the kernel asks to try again (openat2(2)).
        if (errno != EINTR && errno != EAGAIN)
            throw_errno("open " + path);
    }
}

struct DirCloser {
    void operator()(DIR* dir) const noexcept { ::closedir(dir); }
};

dev_t device_of(int fd, const std::string& name) {
    struct stat info {};
    check(::fstat(fd, &info), "stat " + name);
    return info.st_dev;
}

/// Removes what is in the directory `fd` (taken over), not the directory itself.
void remove_content(UniqueFd fd, const std::string& name) {
    const dev_t device = device_of(fd.get(), name);
    const std::unique_ptr<DIR, DirCloser> dir(::fdopendir(fd.get()));
    if (!dir)
        throw_errno("read directory " + name);
    const int dirfd = fd.release(); // now owned by `dir`
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(dir.get());
        if (entry == nullptr) {
            if (errno != 0)
                throw_errno("read directory " + name);
            return;
        }
        const std::string_view leaf = entry->d_name;
        if (leaf == "." || leaf == "..")
            continue;
        const std::string child = name + "/" + std::string(leaf);
        if (::unlinkat(dirfd, entry->d_name, 0) == 0 || errno == ENOENT)
            continue;
        // Linux says EISDIR for a directory, and EPERM on some file systems (unlink(2)).
        if (errno != EISDIR && errno != EPERM)
            throw_errno("remove " + child);
        UniqueFd sub = open_at(dirfd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (device_of(sub.get(), child) != device)
            throw Error(EXDEV, "remove " + child);
        remove_content(std::move(sub), child);
        if (::unlinkat(dirfd, entry->d_name, AT_REMOVEDIR) != 0 && errno != ENOENT)
            throw_errno("remove " + child);
    }
}

std::string parent_of(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos)
        return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

} // namespace

UniqueFd open_at(int dirfd, const std::string& path, int flags, mode_t mode) {
    for (;;) {
        const int fd = ::openat(dirfd, path.c_str(), flags | O_CLOEXEC, mode);
        if (fd >= 0)
            return UniqueFd(fd);
        if (errno != EINTR)
            throw_errno("open " + path);
    }
}

UniqueFd open_in_root(int rootfd, const std::string& path, int flags, mode_t mode) {
    return open_resolved(rootfd, path, flags, mode, RESOLVE_IN_ROOT);
}

UniqueFd open_beneath(int dirfd, const std::string& path, int flags, mode_t mode) {
    return open_resolved(dirfd, path, flags, mode, RESOLVE_BENEATH);
}

std::string read_fd(int fd, std::size_t limit, const std::string& name) {
    std::string data;
    struct stat info {};
    if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0)
        data.reserve(std::min(limit, static_cast<std::size_t>(info.st_size)) + 1);
    std::array<char, 16384> buffer;
    for (;;) {
        const ssize_t count = ::read(fd, buffer.data(), buffer.size());
        if (count < 0) {
            if (errno == EINTR)
                continue;
            throw_errno("read " + name);
        }
        if (count == 0)
            return data;
        if (data.size() + static_cast<std::size_t>(count) > limit)
            throw Error(EFBIG, "read " + name);
        data.append(buffer.data(), static_cast<std::size_t>(count));
    }
}

std::string read_file(const std::string& path, std::size_t limit) {
    return read_fd(open_file(path, O_RDONLY).get(), limit, path);
}

std::optional<std::string> read_file_if_exists(const std::string& path, std::size_t limit) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
        if (errno == ENOENT)
            return std::nullopt;
        throw_errno("open " + path);
    }
    return read_fd(fd.get(), limit, path);
}

void write_all(int fd, std::string_view data, const std::string& name) {
    while (!data.empty()) {
        const ssize_t count = ::write(fd, data.data(), data.size());
        if (count < 0) {
            if (errno == EINTR)
                continue;
            throw_errno("write " + name);
        }
        data.remove_prefix(static_cast<std::size_t>(count));
    }
}

void write_all_at(int fd, std::string_view data, off_t offset, const std::string& name) {
    while (!data.empty()) {
        const ssize_t count = ::pwrite(fd, data.data(), data.size(), offset);
        if (count < 0) {
            if (errno == EINTR)
                continue;
            throw_errno("write " + name);
        }
        data.remove_prefix(static_cast<std::size_t>(count));
        offset += count;
    }
}

void checked_close(UniqueFd fd, const std::string& name) {
    if (::close(fd.release()) != 0 && errno != EINTR)
        throw_errno("close " + name);
}

void write_durable(const std::string& path, std::string_view data, mode_t mode) {
    std::string temporary = path + ".XXXXXX";
    UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
    if (!fd)
        throw_errno("create " + temporary);
    ScopeExit remove([&]() noexcept { ::unlink(temporary.c_str()); });
    write_all(fd.get(), data, path);
    check(::fchmod(fd.get(), mode), "chmod " + path);
    check(::fsync(fd.get()), "fsync " + path);
    checked_close(std::move(fd), path);
    check(::rename(temporary.c_str(), path.c_str()), "rename to " + path);
    remove.dismiss();
    sync_directory(parent_of(path));
}

void remove_write_leftovers(const std::string& path) {
    const std::string folder = parent_of(path);
    const std::unique_ptr<DIR, DirCloser> dir(::opendir(folder.c_str()));
    if (!dir) {
        if (errno == ENOENT)
            return;
        throw_errno("read directory " + folder);
    }
    const std::string prefix = path.substr(path.rfind('/') + 1) + "."; // npos + 1 is 0
    constexpr std::size_t drawn = 6;                                   // letters and digits, by mkostemp
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(dir.get());
        if (entry == nullptr) {
            if (errno != 0)
                throw_errno("read directory " + folder);
            return;
        }
        const std::string_view leaf = entry->d_name;
        if (leaf.size() == prefix.size() + drawn && leaf.starts_with(prefix) &&
            leaf.substr(prefix.size())
                    .find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") ==
                std::string_view::npos &&
            ::unlinkat(::dirfd(dir.get()), entry->d_name, 0) != 0 && errno != ENOENT)
            throw_errno("remove " + folder + "/" + entry->d_name);
    }
}

void sync_directory(const std::string& path) {
    const UniqueFd fd = open_file(path, O_RDONLY | O_DIRECTORY);
    check(::fsync(fd.get()), "fsync " + path);
}

void make_directories(const std::string& path, mode_t mode) {
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
        const std::string part = path.substr(0, end);
        if (::mkdir(part.c_str(), mode) != 0 && errno != EEXIST)
            throw_errno("create directory " + part);
        if (end == std::string::npos)
            break;
    }
    struct stat info {};
    check(::stat(path.c_str(), &info), "stat " + path);
    if (!S_ISDIR(info.st_mode))
        throw Error(ENOTDIR, "create directory " + path);
}

void remove_tree_at(int dirfd, const std::string& path) {
    if (::unlinkat(dirfd, path.c_str(), 0) == 0 || errno == ENOENT)
        return;
    if (errno != EISDIR && errno != EPERM)
        throw_errno("remove " + path);
    remove_content(open_at(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), path);
    if (::unlinkat(dirfd, path.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
        throw_errno("remove " + path);
}

TempDir::TempDir(const std::string& prefix, const std::string& parent) {
    const char* environment = std::getenv("TMPDIR"); // NOLINT(concurrency-mt-unsafe)
    std::string base = !parent.empty() ? parent : environment != nullptr && *environment != '\0' ? environment : "/tmp";
    path_ = base + "/" + prefix + ".XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr)
        throw_errno("create temporary directory " + path_);
}

TempDir::~TempDir() {
    if (path_.empty())
        return;
    try {
        remove_tree(path_);
    } catch (const std::exception&) { // a destructor cannot report; what is left has our prefix
    }
}

} // namespace base
