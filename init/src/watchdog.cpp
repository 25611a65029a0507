#include "watchdog.hpp"

#include <fcntl.h>
#include <linux/watchdog.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "log.hpp"
#include "modules.hpp"

namespace init {

namespace {

constexpr const char* device = "/dev/watchdog";

} // namespace

void Watchdog::set_timeout(int seconds) noexcept {
    int timeout = seconds;
    if (::ioctl(fd_.get(), WDIOC_SETTIMEOUT, &timeout) != 0 && ::ioctl(fd_.get(), WDIOC_GETTIMEOUT, &timeout) != 0)
        timeout = 10; // a driver that tells nothing: feed it often
    seconds_ = timeout > 0 ? timeout : 10;
    next_ = 0;
}

/// Also tells whether the descriptor is a watchdog at all.
bool Watchdog::read_identity() noexcept {
    watchdog_info info{};
    identity_.clear();
    if (::ioctl(fd_.get(), WDIOC_GETSUPPORT, &info) != 0)
        return false;
    for (std::size_t i = 0; i < sizeof info.identity && info.identity[i] != 0; ++i)
        identity_.add(static_cast<char>(info.identity[i]));
    return true;
}

void Watchdog::arm_early() noexcept {
    fd_.reset(::open(device, O_WRONLY | O_CLOEXEC));
    if (!fd_)
        return; // no driver in the initramfs: stage 2 says so when it finds none either
    set_timeout(early_seconds);
    feed(now_msec());
}

void Watchdog::hand_over() noexcept {
    // dup2 leaves close-on-exec off.
    if (fd_ && ::dup2(fd_.get(), inherited_fd) == inherited_fd)
        feed(now_msec());
}

void Watchdog::arm() noexcept {
    if (struct stat status{}; ::fstat(inherited_fd, &status) == 0 && S_ISCHR(status.st_mode)) {
        fd_.reset(inherited_fd);
        ::fcntl(inherited_fd, F_SETFD, FD_CLOEXEC);
        if (!read_identity())
            fd_.reset();
    }
    if (!fd_)
        fd_.reset(::open(device, O_WRONLY | O_CLOEXEC));
    if (!fd_ && (errno == ENOENT || errno == ENODEV)) {
        ModuleLoader("/usr/lib/modules").load("softdog");
        fd_.reset(::open(device, O_WRONLY | O_CLOEXEC));
    }
    if (!fd_) {
        log_warning("open ", device, ": ", Errno{errno}, ", the machine runs without a watchdog");
        return;
    }
    read_identity();
    set_timeout(wanted_seconds);
    feed(now_msec());
    log_info("watchdog armed: ", identity_.view(), ", ", seconds_, " s");
}

void Watchdog::feed(Msec now) noexcept {
    if (!fd_ || now < next_)
        return;
    ::ioctl(fd_.get(), WDIOC_KEEPALIVE, 0);
    next_ = now + static_cast<Msec>(seconds_) * 250; // a quarter of its time
}

void Watchdog::extend() noexcept {
    if (!fd_)
        return;
    set_timeout(shutdown_seconds);
    feed(now_msec());
}

void Watchdog::disarm() noexcept {
    if (!fd_)
        return;
    // The magic character; a driver with nowayout ignores it and says so in the kernel's log.
    [[maybe_unused]] const ssize_t ignored = ::write(fd_.get(), "V", 1);
    fd_.reset();
    seconds_ = 0;
    next_ = never;
}

} // namespace init
