// Files: whole reads with a limit, writes that survive power loss, paths that cannot leave a directory.
// Path functions take a directory descriptor (AT_FDCWD: the working directory) and a path.
#pragma once
#include <fcntl.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"

namespace base {

/// Opens with O_CLOEXEC; throws Error "open PATH: reason".
UniqueFd open_at(int dirfd, const std::string& path, int flags, mode_t mode = 0);
inline UniqueFd open_file(const std::string& path, int flags, mode_t mode = 0) {
    return open_at(AT_FDCWD, path, flags, mode);
}

/// openat2(2) RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS: symlinks and ".." stay inside `rootfd`, as in a chroot.
UniqueFd open_in_root(int rootfd, const std::string& path, int flags, mode_t mode = 0);
/// openat2(2) RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS: a path that would leave `dirfd` is an error (EXDEV).
UniqueFd open_beneath(int dirfd, const std::string& path, int flags, mode_t mode = 0);

/// The whole content. More than `limit` bytes is an Error (EFBIG): what we read is often somebody else's.
std::string read_fd(int fd, std::size_t limit, const std::string& name);
std::string read_file(const std::string& path, std::size_t limit = 16 * 1024 * 1024);
/// nullopt when there is no such file.
std::optional<std::string> read_file_if_exists(const std::string& path, std::size_t limit = 16 * 1024 * 1024);

/// Writes all of it; retries short writes and EINTR.
void write_all(int fd, std::string_view data, const std::string& name);
/// pwrite of all of it.
void write_all_at(int fd, std::string_view data, off_t offset, const std::string& name);

/// close(2) whose error (EIO, ENOSPC, EDQUOT of delayed writes) is thrown.
void checked_close(UniqueFd fd, const std::string& name);

/// The durable write of the tree: temporary name in the same directory, write, fsync, rename, fsync of the directory.
/// After a power cut `path` has the old content or the new, whole. Throws; the temporary file is removed then.
void write_durable(const std::string& path, std::string_view data, mode_t mode = 0644);

/// Removes the temporary files that write_durable of `path` left when it was killed. For whoever is the only one to
/// write the file, before it does. Throws; a missing directory is no error.
void remove_write_leftovers(const std::string& path);

/// fsync of a directory, so that names made or removed in it survive a power cut.
void sync_directory(const std::string& path);

/// mkdir -p; existing directories are kept as they are.
void make_directories(const std::string& path, mode_t mode = 0755);

/// rm -r below `dirfd`, without following symlinks or crossing into another mount. A missing path is no error.
void remove_tree_at(int dirfd, const std::string& path);
inline void remove_tree(const std::string& path) {
    remove_tree_at(AT_FDCWD, path);
}

/// A directory of its own that is removed with its content when the owner goes.
class TempDir {
public:
    /// In `parent` (default: $TMPDIR or /tmp), mode 0700, named PREFIX.XXXXXX.
    explicit TempDir(const std::string& prefix = "atoll", const std::string& parent = {});
    TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    TempDir& operator=(TempDir&&) = delete;
    ~TempDir();
    const std::string& path() const noexcept { return path_; }
    std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
    /// Keeps the directory; returns its path.
    std::string release() noexcept { return std::exchange(path_, {}); }

private:
    std::string path_;
};

} // namespace base
