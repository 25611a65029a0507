#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "updater/sysroot.hpp"

namespace updater {

namespace {

dev_t device_of(const std::string& path) {
    struct stat status {};
    base::check(::stat(path.c_str(), &status), "stat " + path);
    return status.st_dev;
}

// Thaws when we die between freeze and thaw: a frozen /boot would block every later write to it for good. It waits
// for the end of file of a pipe whose other end only we hold. (libostree's own watchdog misses this case. When the
// whole cgroup is killed this one dies too; init thaws /boot then.)
[[noreturn]] void run_guardian(int pipe_fd, int boot_fd) noexcept {
    ::setsid();
    char byte = 0;
    while (::read(pipe_fd, &byte, 1) < 0 && errno == EINTR)
        ;
    ::ioctl(boot_fd, FITHAW, 0); // EINVAL when it is not frozen: the good case
    ::_exit(0);
}

} // namespace

void flush_boot(const std::string& directory, const std::string& parent) {
    const base::UniqueFd fd = base::open_file(directory, O_RDONLY | O_DIRECTORY);
    base::check(::syncfs(fd.get()), "syncfs " + directory);
    if (device_of(directory) == device_of(parent))
        return;

    std::array<int, 2> ends{};
    base::check(::pipe2(ends.data(), O_CLOEXEC), "pipe");
    base::UniqueFd guardian_end(ends[0]);
    base::UniqueFd our_end(ends[1]);
    const pid_t guardian = ::fork();
    if (guardian < 0)
        base::throw_errno("fork the guardian of " + directory);
    if (guardian == 0) {
        ::close(our_end.release());
        run_guardian(guardian_end.get(), fd.get());
    }
    int error = 0;
    bool unsupported = false;
    if (::ioctl(fd.get(), FIFREEZE, 0) != 0) {
        // File systems without a journal of their own (tmpfs, vfat) have nothing to freeze: syncfs was enough.
        unsupported = errno == EOPNOTSUPP || errno == ENOTTY;
        error = errno;
    } else if (::ioctl(fd.get(), FITHAW, 0) != 0) {
        error = errno;
    }
    our_end.reset();
    while (::waitpid(guardian, nullptr, 0) < 0 && errno == EINTR)
        ;
    if (error != 0 && !unsupported)
        throw base::Error(error, "freeze and thaw " + directory);
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
