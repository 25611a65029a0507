// The watchdog: when PID 1 stops turning its loop, the machine is reset.
#pragma once
#include "base/unique_fd.hpp"
#include "clock.hpp"
#include "text.hpp"

namespace init {

class Watchdog {
public:
    static constexpr int wanted_seconds = 60;
    static constexpr int shutdown_seconds = 180; ///< the last sync and unmounts may take long

    /// Arms /dev/watchdog. A machine without one gets the kernel's software watchdog.
    void arm() noexcept;
    /// To be called often; tells the device only as often as it needs.
    void feed(Msec now) noexcept;
    /// When `feed` has something to do.
    Msec deadline() const noexcept { return next_; }
    /// Before the last steps of a shutdown: a longer time, and a fresh start of it.
    void extend() noexcept;
    /// For `halt`: a machine that shall stand still is not reset.
    void disarm() noexcept;

    int seconds() const noexcept { return seconds_; }
    std::string_view identity() const noexcept { return identity_.view(); }

private:
    void set_timeout(int seconds) noexcept;

    base::UniqueFd fd_;
    int seconds_ = 0;
    Msec next_ = never;
    Text<33> identity_;
};

} // namespace init
