#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "updater/sysroot.hpp"

namespace updater {

namespace {

// Not in Debian 12's kernel headers: Documentation/admin-guide/ext4.rst, since Linux 5.14.
constexpr unsigned long ext4_checkpoint = _IOW('f', 43, __u32);

dev_t device_of(const std::string& path) {
    struct stat status {};
    base::check(::stat(path.c_str(), &status), "stat " + path);
    return status.st_dev;
}

bool is_ext4(int fd, const std::string& name) {
    struct statfs status {};
    base::check(::fstatfs(fd, &status), "statfs " + name);
    return status.f_type == EXT4_SUPER_MAGIC;
}

} // namespace

void flush_boot(const std::string& directory, const std::string& parent) {
    const base::UniqueFd fd = base::open_file(directory, O_RDONLY | O_DIRECTORY);
    // The checkpoint is of the journal alone; what has no place on the disk yet gets one here.
    base::check(::syncfs(fd.get()), "syncfs " + directory);
    if (device_of(directory) == device_of(parent) || !is_ext4(fd.get(), directory))
        return;
    __u32 flags = 0;
    // ENODEV: there is no journal, and syncfs was enough.
    if (::ioctl(fd.get(), ext4_checkpoint, &flags) != 0 && errno != ENODEV)
        base::throw_errno("write the journal of " + directory + " to its place");
}

void thaw_boot(const std::string& directory) noexcept {
    try {
        const base::UniqueFd fd = base::open_file(directory, O_RDONLY | O_DIRECTORY);
        if (::ioctl(fd.get(), FITHAW, 0) == 0)
            base::log_warning("{} had been left frozen and was thawed", directory);
    } catch (const base::Error&) {
        // Not there: nothing to thaw, and whoever needs it reports it.
    }
}

} // namespace updater
