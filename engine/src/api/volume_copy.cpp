#include "api/volume_copy.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <memory>

#include "base/error.hpp"
#include "base/files.hpp"

namespace engine::api {
namespace {

constexpr unsigned depth_limit = 256;

void copy_attributes(int from, int to) {
    std::string names(64 * 1024, '\0');
    const ssize_t length = ::flistxattr(from, names.data(), names.size());
    if (length < 0)
        return; // no attributes here (EOPNOTSUPP)
    names.resize(static_cast<std::size_t>(length));
    for (std::size_t at = 0; at < names.size(); at = names.find('\0', at) + 1) {
        const char* name = names.c_str() + at;
        const std::string_view text(name);
        if (!text.starts_with("user.") && text != "security.capability" && !text.starts_with("system.posix_acl_"))
            continue;
        std::array<char, 64 * 1024> value;
        const ssize_t size = ::fgetxattr(from, name, value.data(), value.size());
        if (size >= 0 && ::fsetxattr(to, name, value.data(), static_cast<std::size_t>(size), 0) != 0 &&
            errno != EOPNOTSUPP)
            base::throw_errno(fmt::format("set attribute {}", name));
    }
}

/// Owner, then mode (chown clears set-user-id bits), attributes, times.
void copy_metadata(int from, int to) {
    struct stat status {};
    base::check(::fstat(from, &status), "stat");
    base::check(::fchown(to, status.st_uid, status.st_gid), "set owner");
    base::check(::fchmod(to, status.st_mode & 07777), "set mode");
    copy_attributes(from, to);
    const timespec times[2] = {status.st_atim, status.st_mtim};
    base::check(::futimens(to, times), "set times");
}

void copy_file(int from_dir, int to_dir, const std::string& name) {
    const base::UniqueFd from = base::open_at(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    base::UniqueFd to = base::open_at(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    while (true) {
        const ssize_t count = ::copy_file_range(from.get(), nullptr, to.get(), nullptr, std::size_t{1} << 30, 0);
        if (count == 0)
            break;
        if (count > 0)
            continue;
        if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP)
            base::throw_errno("copy " + name);
        std::array<char, 64 * 1024> buffer; // file systems that cannot do it
        while (const ssize_t read = base::check(::read(from.get(), buffer.data(), buffer.size()), "read " + name))
            base::write_all(to.get(), {buffer.data(), static_cast<std::size_t>(read)}, name);
        break;
    }
    copy_metadata(from.get(), to.get());
    base::checked_close(std::move(to), name);
}

void copy_symlink(int from_dir, int to_dir, const std::string& name, const struct stat& status) {
    std::array<char, 4097> target{};
    base::check(::readlinkat(from_dir, name.c_str(), target.data(), target.size() - 1), "readlink " + name);
    base::check(::symlinkat(target.data(), to_dir, name.c_str()), "symlink " + name);
    base::check(::fchownat(to_dir, name.c_str(), status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW), "set owner");
}

void copy_directory(int from, int to, unsigned depth) {
    if (depth > depth_limit)
        throw base::Error(ELOOP, "directories nested too deep");
    const int duplicate = base::check(::fcntl(from, F_DUPFD_CLOEXEC, 3), "duplicate descriptor");
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(duplicate), ::closedir);
    if (!directory)
        base::throw_errno("read directory");
    while (const dirent* entry = ::readdir(directory.get())) {
        const std::string name = entry->d_name;
        struct stat status {};
        if (name == "." || name == ".." || ::fstatat(from, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISDIR(status.st_mode)) {
            base::check(::mkdirat(to, name.c_str(), 0700), "make directory " + name);
            const base::UniqueFd below = base::open_at(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
            const base::UniqueFd copy = base::open_at(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
            copy_directory(below.get(), copy.get(), depth + 1);
        } else if (S_ISREG(status.st_mode)) {
            copy_file(from, to, name);
        } else if (S_ISLNK(status.st_mode)) {
            copy_symlink(from, to, name, status);
        }
    }
    copy_metadata(from, to);
}

} // namespace

void copy_into_volume(const std::string& root, const std::string& target, const std::string& volume) {
    base::with_context("copy " + target + " into volume", [&] {
        const base::UniqueFd root_fd = base::open_file(root, O_PATH | O_DIRECTORY);
        base::UniqueFd from;
        try {
            from = base::open_in_root(root_fd.get(), target, O_RDONLY | O_DIRECTORY);
        } catch (const base::Error& error) {
            if (error.error() == ENOENT || error.error() == ENOTDIR)
                return;
            throw;
        }
        const base::UniqueFd to = base::open_file(volume, O_RDONLY | O_DIRECTORY);
        copy_directory(from.get(), to.get(), 0);
    });
}

} // namespace engine::api
