// Small files without exceptions and allocation. Results are 0 or an errno value.
#pragma once
#include <fcntl.h>
#include <sys/types.h>

#include <cstddef>
#include <string_view>

#include "text.hpp"

namespace init {

/// The whole file, cut off where the buffer ends (then `text.truncated()`).
int read_text(const char* path, TextBuffer& text) noexcept;
/// Up to `size` bytes from `offset`; returns their number, or a negated errno value.
ssize_t read_at(int fd, void* buffer, std::size_t size, off_t offset) noexcept;
/// One write to a file that exists (sysfs, procfs, cgroupfs).
int write_text(const char* path, std::string_view text) noexcept;
/// The durable write: temporary name beside `path`, fsync, rename, fsync of the directory.
int write_durable(const char* path, std::string_view text, mode_t mode) noexcept;
/// mkdir -p with mode 0755 for what is made; an existing directory is no error.
int make_directories(const char* path) noexcept;
/// mkdir and chmod (the umask does not matter); an existing directory is no error and keeps its mode.
int make_directory(const char* path, mode_t mode) noexcept;
bool exists(const char* path) noexcept;
bool is_executable(const char* path) noexcept;

} // namespace init
