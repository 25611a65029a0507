#include "image/cpio.hpp"

#include <sys/stat.h>

#include <fmt/format.h>

#include "base/error.hpp"

namespace image {
namespace {

void pad_to_four(std::string& archive) {
    archive.resize((archive.size() + 3) / 4 * 4, '\0');
}

} // namespace

void CpioWriter::add(std::string_view path, mode_t mode, std::string_view content, unsigned major, unsigned minor) {
    if (path.empty() || path.front() == '/' || path.size() > 4096)
        throw base::Error("cpio: bad path \"" + std::string(path) + "\"");
    if (content.size() > UINT32_MAX)
        throw base::Error(EFBIG, "cpio: " + std::string(path));
    const std::uint32_t inode = mode == 0 ? 0 : ++inode_; // the trailer has none
    const unsigned links = S_ISDIR(mode) ? 2 : 1;
    // magic, ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
    archive_ += fmt::format("070701{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}",
                            inode, mode, 0, 0, links, 0, content.size(), 0, 0, major, minor, path.size() + 1, 0);
    archive_ += path;
    archive_ += '\0';
    pad_to_four(archive_);
    archive_ += content;
    pad_to_four(archive_);
}

void CpioWriter::add_directory(std::string_view path, mode_t permissions) {
    add(path, S_IFDIR | permissions, {});
}

void CpioWriter::add_file(std::string_view path, std::string_view content, mode_t permissions) {
    add(path, S_IFREG | permissions, content);
}

void CpioWriter::add_symlink(std::string_view path, std::string_view target) {
    add(path, S_IFLNK | 0777, target);
}

void CpioWriter::add_character_device(std::string_view path, unsigned major, unsigned minor, mode_t permissions) {
    add(path, S_IFCHR | permissions, {}, major, minor);
}

std::string CpioWriter::finish() {
    add("TRAILER!!!", 0, {});
    archive_.resize((archive_.size() + 511) / 512 * 512, '\0');
    inode_ = 0;
    return std::exchange(archive_, {});
}

} // namespace image
