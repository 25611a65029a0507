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

    static constexpr int early_seconds = 120; ///< stage 1 feeds it once: longer than the root may take to appear

    /// Stage 1: arms the watchdog that is there and lets it run, so that a hang before PID 1's loop ends too.
    void arm_early() noexcept;
    /// Stage 1: keeps the watchdog open over the exec of stage 2. (Closed, it would run on, but not without a message.)
    void hand_over() noexcept;
    /// Takes over the watchdog of stage 1, or arms /dev/watchdog. A machine without one gets the kernel's software
    /// watchdog.
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
    static constexpr int inherited_fd = 10; ///< what stage 2 finds the watchdog of stage 1 by

    void set_timeout(int seconds) noexcept;
    bool read_identity() noexcept;

    base::UniqueFd fd_;
    int seconds_ = 0;
    Msec next_ = never;
    Text<33> identity_;
};

} // namespace init
