#include "supervisor.hpp"

#include <algorithm>
#include <utility>

namespace init {

Msec Supervisor::pause_after(std::uint32_t failures) noexcept {
    Msec pause = first_pause;
    for (std::uint32_t i = 1; i < failures && pause < longest_pause; ++i)
        pause *= 2;
    return std::min(pause, longest_pause);
}

void Supervisor::start(Msec now) noexcept {
    if (state_ != EngineState::absent)
        return;
    state_ = EngineState::backoff;
    deadline_ = now;
}

void Supervisor::started(Msec now) noexcept {
    state_ = EngineState::starting;
    started_ = now;
    last_alive_ = never;
    deadline_ = now + first_alive_limit;
}

void Supervisor::alive(Msec now) noexcept {
    last_alive_ = now;
    if (state_ != EngineState::starting && state_ != EngineState::running)
        return; // one that is being killed or stopped has its last word, not a new deadline
    state_ = EngineState::running;
    deadline_ = now + alive_limit;
}

void Supervisor::ended(Msec now) noexcept {
    if (state_ == EngineState::stopping) {
        state_ = EngineState::absent;
        deadline_ = never;
        return;
    }
    const bool was_stable = last_alive_ != never && now - started_ >= stable_after;
    failures_ = was_stable ? 1 : failures_ + 1;
    last_alive_ = never;
    state_ = EngineState::backoff;
    deadline_ = now + pause_after(failures_);
}

void Supervisor::stop(Msec now) noexcept {
    switch (state_) {
    case EngineState::absent:
    case EngineState::stopping:
        return;
    case EngineState::backoff:
        state_ = EngineState::absent;
        deadline_ = never;
        return;
    case EngineState::starting:
    case EngineState::running:
    case EngineState::hung:
        state_ = EngineState::stopping;
        terminate_sent_ = false;
        deadline_ = now;
    }
}

Supervisor::Action Supervisor::next(Msec now) noexcept {
    if (now < deadline_)
        return Action::none;
    switch (state_) {
    case EngineState::absent:
        deadline_ = never;
        return Action::none;
    case EngineState::backoff:
        if (ran_before_)
            ++restarts_;
        ran_before_ = true;
        deadline_ = never; // until `started` or `ended`
        return Action::start;
    case EngineState::starting:
    case EngineState::running:
    case EngineState::hung:
        state_ = EngineState::hung;
        deadline_ = now + kill_repeat;
        return Action::kill;
    case EngineState::stopping:
        deadline_ = now + (terminate_sent_ ? kill_repeat : stop_limit);
        return std::exchange(terminate_sent_, true) ? Action::kill : Action::terminate;
    }
    return Action::none;
}

} // namespace init
