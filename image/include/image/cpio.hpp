// The "newc" cpio format of the kernel's initramfs (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace image {

/// Writes an archive whose bytes depend on its entries only: owner 0:0, time 0, inodes numbered from 1.
class CpioWriter {
public:
    /// Paths are relative, without a leading slash; parents must have been added before.
    void add_directory(std::string_view path, mode_t permissions = 0755);
    void add_file(std::string_view path, std::string_view content, mode_t permissions = 0644);
    void add_symlink(std::string_view path, std::string_view target);
    /// A character device, e.g. dev/console.
    void add_character_device(std::string_view path, unsigned major, unsigned minor, mode_t permissions = 0600);
    /// The archive with its trailer; the writer is empty afterwards.
    std::string finish();

private:
    void add(std::string_view path, mode_t mode, std::string_view content, unsigned major = 0, unsigned minor = 0);
    std::string archive_;
    std::uint32_t inode_ = 0;
};

} // namespace image
