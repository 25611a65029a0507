#include "files.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/unique_fd.hpp"

namespace init {

namespace {

int write_all(int fd, std::string_view text) noexcept {
    while (!text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return errno;
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return 0;
}

/// The directory part of a path; "." when there is none.
void parent_of(const char* path, Path& parent) noexcept {
    const std::string_view whole(path);
    const std::size_t slash = whole.rfind('/');
    if (slash == std::string_view::npos)
        parent.assign(".");
    else
        parent.assign(std::string_view(path, slash == 0 ? 1 : slash));
}

} // namespace

int read_text(const char* path, TextBuffer& text) noexcept {
    const base::UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!fd)
        return errno;
    char block[512];
    for (;;) {
        const ssize_t count = ::read(fd.get(), block, sizeof block);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return errno;
        text.add(std::string_view(block, static_cast<std::size_t>(count)));
        if (count == 0 || text.truncated())
            return 0;
    }
}

ssize_t read_at(int fd, void* buffer, std::size_t size, off_t offset) noexcept {
    std::size_t done = 0;
    while (done < size) {
        const ssize_t count =
            ::pread(fd, static_cast<char*>(buffer) + done, size - done, offset + static_cast<off_t>(done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            break;
        done += static_cast<std::size_t>(count);
    }
    return static_cast<ssize_t>(done);
}

int write_text(const char* path, std::string_view text) noexcept {
    const base::UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY));
    if (!fd)
        return errno;
    // These files take a value by one write; a rest would be another value.
    return ::write(fd.get(), text.data(), text.size()) < 0 ? errno : 0;
}

int write_durable(const char* path, std::string_view text, mode_t mode) noexcept {
    const Path temporary(path, ".new");
    Path parent;
    parent_of(path, parent);
    if (temporary.truncated())
        return ENAMETOOLONG;
    base::UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
    if (!fd)
        return errno;
    int error = write_all(fd.get(), text);
    if (error == 0 && (::fchmod(fd.get(), mode) != 0 || ::fsync(fd.get()) != 0))
        error = errno;
    if (::close(fd.release()) != 0 && error == 0)
        error = errno;
    if (error == 0 && ::rename(temporary.c_str(), path) != 0)
        error = errno;
    if (error != 0) {
        ::unlink(temporary.c_str());
        return error;
    }
    const base::UniqueFd directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return directory && ::fsync(directory.get()) == 0 ? 0 : errno;
}

int make_directory(const char* path, mode_t mode) noexcept {
    if (::mkdir(path, mode) != 0)
        return errno == EEXIST ? 0 : errno;
    return ::chmod(path, mode) != 0 ? errno : 0;
}

int make_directories(const char* path) noexcept {
    Path prefix;
    std::string_view rest(path);
    bool first = true;
    while (const auto part = next_part(rest, '/')) {
        if (!first)
            prefix.add('/');
        first = false;
        prefix.add(*part);
        if (part->empty())
            continue;
        if (prefix.truncated())
            return ENAMETOOLONG;
        if (const int error = make_directory(prefix.c_str(), 0755); error != 0)
            return error;
    }
    return 0;
}

bool exists(const char* path) noexcept {
    return ::access(path, F_OK) == 0;
}

bool is_executable(const char* path) noexcept {
    struct stat status {};
    return ::stat(path, &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & 0111) != 0;
}

} // namespace init
