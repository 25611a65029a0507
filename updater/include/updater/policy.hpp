// When updates are looked for and installed by themselves. Pure: fed with the configuration, the state and a clock.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/host_config.hpp"
#include "updater/state_machine.hpp"

namespace updater {

struct LocalTime {
    unsigned weekday = 0; ///< 0: Sunday
    unsigned minute = 0;  ///< since midnight
};
/// Seconds since 1970 to civil time in a zone.
using LocalClock = std::function<LocalTime(std::int64_t)>;

/// "UTC", "+HH:MM", a POSIX TZ value with its own rules for daylight saving ("CET-1CEST,M3.5.0,M10.5.0/3"), or a name
/// of the system's database. The latter two set TZ of the process. Throws base::Error when the zone is not known: a
/// window in another zone than meant would be worse than none.
LocalClock clock_of(const std::string& zone);

/// Civil time decides, so that a window keeps its hour over a change of daylight saving: one that lies in the skipped
/// hour does not come that day, one in the repeated hour comes twice.
bool is_open(const std::vector<base::UpdatePolicy::Window>& windows, LocalTime now) noexcept;
/// When the next window opens, from `now` on; `now` when one is open, nullopt when there is none within 8 days.
std::optional<std::int64_t> next_opening(const std::vector<base::UpdatePolicy::Window>& windows,
                                         const LocalClock& clock, std::int64_t now);

enum class PolicyAction {
    none,
    release_lock, ///< the machine is steady: give a slot back that it may still have
    check,
    stage,
    take_lock, ///< ask the server for a slot; when it is given: reboot
    reboot,
};

struct PolicyFacts {
    base::UpdatePolicy::Mode mode = base::UpdatePolicy::Mode::off;
    State state = State::idle;
    bool busy = false;        ///< a worker changes something, or root asked for something
    bool is_good = false;     ///< the booted revision is known good
    bool look_due = false;    ///< time to ask the repository
    bool window_open = false; ///< for mode `windows`
    bool has_lock = false;    ///< a lock server is configured
    bool released = false;    ///< and was told since the boot that this machine is steady
    bool lock_due = false;    ///< time to ask it (again)
};

PolicyAction decide(const PolicyFacts& facts) noexcept;

/// Pause before the next try: 10 s, doubled with every failure up to 10 minutes, a quarter more or less.
/// `random`: 0 to 1.
std::chrono::milliseconds retry_pause(unsigned failures, double random) noexcept;

std::string_view to_string(base::UpdatePolicy::Mode mode) noexcept;

} // namespace updater
