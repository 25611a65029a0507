#include "images/tar_writer.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <memory>

#include "base/error.hpp"
#include "base/files.hpp"

namespace engine {
namespace {

constexpr unsigned depth_limit = 1024;

using Entry = std::unique_ptr<archive_entry, decltype(&archive_entry_free)>;

void add_attributes(archive_entry* entry, int fd) {
    std::string names(64 * 1024, '\0');
    const ssize_t length = ::flistxattr(fd, names.data(), names.size());
    if (length <= 0)
        return;
    names.resize(static_cast<std::size_t>(length));
    for (std::size_t at = 0; at < names.size(); at = names.find('\0', at) + 1) {
        const char* name = names.c_str() + at;
        if (!std::string_view(name).starts_with("user.") && std::string_view(name) != "security.capability")
            continue;
        std::array<char, 64 * 1024> value;
        if (const ssize_t size = ::fgetxattr(fd, name, value.data(), value.size()); size >= 0)
            archive_entry_xattr_add_entry(entry, name, value.data(), static_cast<std::size_t>(size));
    }
}

void set_metadata(archive_entry* entry, const struct stat& status, const std::string& name) {
    archive_entry_copy_pathname(entry, S_ISDIR(status.st_mode) ? (name + "/").c_str() : name.c_str());
    archive_entry_set_mode(entry, status.st_mode);
    archive_entry_set_uid(entry, status.st_uid);
    archive_entry_set_gid(entry, status.st_gid);
    archive_entry_set_mtime(entry, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    archive_entry_set_size(entry, S_ISREG(status.st_mode) ? status.st_size : 0);
    if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode))
        archive_entry_set_rdev(entry, status.st_rdev);
}

} // namespace

TarWriter::TarWriter(Sink sink) : handle_(archive_write_new()), sink_(std::move(sink)) {
    if (handle_ == nullptr)
        throw base::Error(ENOMEM, "write tar");
    archive_write_set_format_pax_restricted(handle_);
    archive_write_set_bytes_per_block(handle_, 64 * 1024);
    archive_write_set_bytes_in_last_block(handle_, 1);
    check(archive_write_open(handle_, this, nullptr, &TarWriter::on_write, nullptr));
}

TarWriter::~TarWriter() {
    archive_write_fail(handle_); // nothing more is written
    archive_write_free(handle_);
}

long TarWriter::on_write(archive* handle, void* self, const void* data, unsigned long size) {
    auto& writer = *static_cast<TarWriter*>(self);
    try {
        writer.sink_({static_cast<const char*>(data), size});
        return static_cast<long>(size);
    } catch (...) {
        writer.failure_ = std::current_exception();
        archive_set_error(handle, EIO, "write failed");
        return -1;
    }
}

/// ARCHIVE_WARN is a name that is no text in the locale: libarchive writes its bytes and says so in the header.
void TarWriter::check(int result) {
    if (result == ARCHIVE_OK || result == ARCHIVE_WARN)
        return;
    if (failure_)
        std::rethrow_exception(failure_);
    const char* reason = archive_error_string(handle_);
    throw base::Error(fmt::format("write tar: {}", reason != nullptr ? reason : "failed"));
}

void TarWriter::add_file(const std::string& name, std::string_view content) {
    struct stat status {};
    status.st_mode = S_IFREG | 0644;
    status.st_size = static_cast<off_t>(content.size());
    const Entry entry(archive_entry_new(), archive_entry_free);
    set_metadata(entry.get(), status, name);
    check(archive_write_header(handle_, entry.get()));
    if (archive_write_data(handle_, content.data(), content.size()) < 0)
        check(ARCHIVE_FATAL);
}

void TarWriter::add_tree(int directory, const std::string& base_name, const std::string& name) {
    add_entry(directory, base_name, name, 0);
}

void TarWriter::add_entry(int directory, const std::string& base_name, const std::string& name, unsigned depth) {
    if (depth > depth_limit)
        throw base::Error(ELOOP, "directories nested too deep");
    struct stat status {};
    if (::fstatat(directory, base_name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT && depth > 0)
            return; // removed meanwhile
        base::throw_errno("stat " + name);
    }
    if (S_ISSOCK(status.st_mode))
        return;
    base::UniqueFd fd;
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) {
        const int kind = S_ISDIR(status.st_mode) ? O_DIRECTORY : 0;
        fd = base::open_at(directory, base_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | kind);
        base::check(::fstat(fd.get(), &status), "stat " + name); // of what was opened
    }
    const Entry entry(archive_entry_new(), archive_entry_free);
    set_metadata(entry.get(), status, name);
    if (S_ISLNK(status.st_mode)) {
        std::array<char, 4097> target{};
        base::check(::readlinkat(directory, base_name.c_str(), target.data(), target.size() - 1), "readlink " + name);
        archive_entry_copy_symlink(entry.get(), target.data());
    }
    if (S_ISREG(status.st_mode) && status.st_nlink > 1) {
        const auto [known, fresh] = linked_.emplace(std::pair(status.st_dev, status.st_ino), name);
        if (!fresh) {
            archive_entry_copy_hardlink(entry.get(), known->second.c_str());
            archive_entry_set_size(entry.get(), 0);
            check(archive_write_header(handle_, entry.get()));
            return;
        }
    }
    if (fd)
        add_attributes(entry.get(), fd.get());
    check(archive_write_header(handle_, entry.get()));
    if (S_ISREG(status.st_mode))
        add_content(fd.get(), status.st_size, name);
    else if (S_ISDIR(status.st_mode))
        add_children(fd.get(), name, depth);
}

void TarWriter::add_content(int fd, std::int64_t size, const std::string& name) {
    std::array<char, 64 * 1024> buffer;
    while (size > 0) {
        const auto wanted = static_cast<std::size_t>(std::min<std::int64_t>(size, buffer.size()));
        ssize_t count = base::check(::read(fd, buffer.data(), wanted), "read " + name);
        if (count == 0) { // it became shorter; its size is written already
            std::memset(buffer.data(), 0, wanted);
            count = static_cast<ssize_t>(wanted);
        }
        if (archive_write_data(handle_, buffer.data(), static_cast<std::size_t>(count)) < 0)
            check(ARCHIVE_FATAL);
        size -= count;
    }
}

void TarWriter::add_children(int fd, const std::string& name, unsigned depth) {
    std::vector<std::string> names;
    {
        // Opened again: fdopendir takes the descriptor over, and its offset is shared with a duplicate.
        base::UniqueFd own = base::open_at(fd, ".", O_RDONLY | O_DIRECTORY);
        const std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(own.get()), ::closedir);
        if (!directory)
            base::throw_errno("read directory " + name);
        own.release();
        while (const dirent* entry = ::readdir(directory.get()))
            if (std::string_view(entry->d_name) != "." && std::string_view(entry->d_name) != "..")
                names.emplace_back(entry->d_name);
    }
    std::sort(names.begin(), names.end());
    for (const std::string& child : names)
        add_entry(fd, child, name + "/" + child, depth + 1);
}

void TarWriter::finish() {
    check(archive_write_close(handle_));
}

} // namespace engine
