// When engined is started, waited for, and killed. Decisions only: no process is touched here.
//
//            start()             alive()              silent for 30 s
//   absent ----------> starting ---------> running --------------------> hung (killed)
//     ^                  ^   |                |                            |
//     |     pause over   |   | ended()        | ended()                    | ended()
//     |                  |   v                v                            |
//     |                  +---------------- backoff <-----------------------+
//     |  ended()
//   stopping <---- stop() from any state in which a process runs; without one: absent
#pragma once
#include "clock.hpp"
#include "init/protocol.hpp"

namespace init {

class Supervisor {
public:
    static constexpr Msec first_alive_limit = 90'000; ///< engined reads its state and its images before it can speak
    static constexpr Msec alive_limit = 30'000;
    static constexpr Msec stop_limit = 90'000;
    static constexpr Msec kill_repeat = 10'000; ///< a process in the kernel's hands ends when the kernel lets go
    static constexpr Msec first_pause = 200;
    static constexpr Msec longest_pause = 30'000;
    static constexpr Msec stable_after = 60'000;    ///< a run this long forgives the failures before it
    static constexpr std::uint32_t start_limit = 6; ///< failures in a row: the revision has no working engined

    enum class Action { none, start, terminate, kill };

    /// What to do now. `start` is to be answered by `started` or `ended`.
    Action next(Msec now) noexcept;
    /// When `next` has something to do, if nothing else happens before.
    Msec deadline() const noexcept { return deadline_; }

    void start(Msec now) noexcept;
    void started(Msec now) noexcept;
    void alive(Msec now) noexcept;
    /// It ended, or could not be started.
    void ended(Msec now) noexcept;
    /// Ordered stop: SIGTERM, after `stop_limit` SIGKILL, no restart.
    void stop(Msec now) noexcept;

    EngineState state() const noexcept { return state_; }
    std::uint32_t restarts() const noexcept { return restarts_; }
    std::uint32_t failures() const noexcept { return failures_; }
    bool start_limit_hit() const noexcept { return failures_ >= start_limit; }
    /// `never`: this engined has not spoken yet.
    Msec last_alive() const noexcept { return last_alive_; }

private:
    static Msec pause_after(std::uint32_t failures) noexcept;

    EngineState state_ = EngineState::absent;
    Msec deadline_ = never;
    Msec started_ = 0;
    Msec last_alive_ = never;
    std::uint32_t restarts_ = 0;
    std::uint32_t failures_ = 0; ///< in a row
    bool ran_before_ = false;
    bool terminate_sent_ = false;
};

} // namespace init
