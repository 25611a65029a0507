#include "watchdog.hpp"

#include <fcntl.h>
#include <linux/watchdog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

#include "log.hpp"
#include "modules.hpp"

namespace init {

void Watchdog::set_timeout(int seconds) noexcept {
    int timeout = seconds;
    if (::ioctl(fd_.get(), WDIOC_SETTIMEOUT, &timeout) != 0 && ::ioctl(fd_.get(), WDIOC_GETTIMEOUT, &timeout) != 0)
        timeout = 10; // a driver that tells nothing: feed it often
    seconds_ = timeout > 0 ? timeout : 10;
    next_ = 0;
}

void Watchdog::arm() noexcept {
    constexpr const char* path = "/dev/watchdog";
    fd_.reset(::open(path, O_WRONLY | O_CLOEXEC));
    if (!fd_ && (errno == ENOENT || errno == ENODEV)) {
        ModuleLoader("/usr/lib/modules").load("softdog");
        fd_.reset(::open(path, O_WRONLY | O_CLOEXEC));
    }
    if (!fd_) {
        log_warning("open ", path, ": ", Errno{errno}, ", the machine runs without a watchdog");
        return;
    }
    watchdog_info info{};
    if (::ioctl(fd_.get(), WDIOC_GETSUPPORT, &info) == 0) {
        identity_.clear();
        for (std::size_t i = 0; i < sizeof info.identity && info.identity[i] != 0; ++i)
            identity_.add(static_cast<char>(info.identity[i]));
    }
    set_timeout(wanted_seconds);
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
