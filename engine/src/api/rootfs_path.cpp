#include "api/rootfs_path.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/files.hpp"

namespace engine::api {
namespace {

bool is_absence(int error) {
    return error == ENOENT || error == ENOTDIR || error == ELOOP;
}

} // namespace

base::UniqueFd RootfsPath::open_directory() const {
    try {
        return base::open_in_root(root.get(), path, O_RDONLY | O_DIRECTORY);
    } catch (const base::Error& error) {
        if (is_absence(error.error()))
            return {};
        throw;
    }
}

std::optional<RootfsPath> find_in_rootfs(const std::string& root, const std::string& path) {
    RootfsPath result;
    result.root = base::open_file(root, O_PATH | O_DIRECTORY);
    result.path = path;
    const bool dotted = path == "." || path.ends_with("/.");
    const bool wants_directory = dotted || path.ends_with('/');
    std::string trimmed = path;
    while (trimmed.ends_with('/') || trimmed.ends_with("/."))
        trimmed.pop_back();
    const std::size_t slash = trimmed.rfind('/');
    const std::string last = slash == std::string::npos ? trimmed : trimmed.substr(slash + 1);
    const std::string above = slash == std::string::npos ? "/" : "/" + trimmed.substr(0, slash);
    const bool is_root = last.empty() || last == "." || last == "..";
    try {
        if (is_root || wants_directory) {
            result.directory = base::open_in_root(result.root.get(), "/" + trimmed, O_PATH | O_DIRECTORY);
            result.base_name = ".";
        } else {
            result.directory = base::open_in_root(result.root.get(), above, O_PATH | O_DIRECTORY);
            result.base_name = last;
        }
    } catch (const base::Error& error) {
        if (is_absence(error.error()))
            return std::nullopt;
        throw;
    }
    result.shown_name = is_root ? "/" : last;
    result.archive_name = is_root || dotted ? "." : last;
    if (::fstatat(result.directory.get(), result.base_name.c_str(), &result.status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (is_absence(errno))
            return std::nullopt;
        base::throw_errno("stat " + path);
    }
    if (S_ISLNK(result.status.st_mode)) {
        std::array<char, 4097> target{};
        base::check(::readlinkat(result.directory.get(), result.base_name.c_str(), target.data(), target.size() - 1),
                    "readlink " + path);
        result.link_target = target.data();
    }
    return result;
}

} // namespace engine::api
