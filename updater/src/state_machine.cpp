#include "updater/state_machine.hpp"

namespace updater {

namespace {

constexpr std::array state_names{
    std::string_view("idle"),      std::string_view("checking"), std::string_view("downloading"),
    std::string_view("verifying"), std::string_view("staged"),   std::string_view("rebooting"),
    std::string_view("trying"),    std::string_view("good"),     std::string_view("rolled-back"),
};
static_assert(state_names.size() == static_cast<std::size_t>(State::rolled_back) + 1);

constexpr std::array event_names{
    std::string_view("check"),         std::string_view("update-found"),     std::string_view("content-complete"),
    std::string_view("staged-local"),  std::string_view("content-verified"), std::string_view("ended"),
    std::string_view("order-written"), std::string_view("order-reverted"),   std::string_view("dropped"),
    std::string_view("boot-on-trial"), std::string_view("boot-good"),        std::string_view("boot-fell-back"),
    std::string_view("judged-good"),
};
static_assert(event_names.size() == static_cast<std::size_t>(Event::judged_good) + 1);

/// `to` when `allowed`.
std::optional<State> only_if(bool allowed, State to) noexcept {
    return allowed ? std::optional(to) : std::nullopt;
}

} // namespace

std::optional<State> next_state(State state, Event event, State resting) noexcept {
    switch (event) {
    case Event::check:
        return only_if(is_resting(state), State::checking);
    case Event::update_found:
        return only_if(state == State::checking, State::downloading);
    case Event::content_complete:
        return only_if(state == State::downloading, State::verifying);
    case Event::staged_local:
        return only_if(is_resting(state), State::staged);
    case Event::content_verified:
        return only_if(state == State::verifying, State::staged);
    case Event::ended:
        return only_if(is_busy(state) && is_resting(resting), resting);
    case Event::order_written:
        return only_if(!is_busy(state), State::rebooting);
    case Event::order_reverted:
        return only_if(state == State::rebooting && is_resting(resting), resting);
    case Event::dropped:
        return only_if(state == State::staged && is_resting(resting) && resting != State::staged, resting);
    case Event::boot_on_trial:
        return State::trying;
    case Event::boot_good:
        return resting == State::staged || resting == State::rolled_back ? resting : State::good;
    case Event::boot_fell_back:
        return State::rolled_back;
    case Event::judged_good:
        return only_if(state == State::trying, State::good);
    }
    return std::nullopt;
}

bool is_resting(State state) noexcept {
    return state == State::idle || state == State::good || state == State::rolled_back || state == State::staged;
}

bool is_busy(State state) noexcept {
    return state == State::checking || state == State::downloading || state == State::verifying;
}

std::string_view to_string(State state) noexcept {
    return state_names[static_cast<std::size_t>(state)];
}

std::string_view to_string(Event event) noexcept {
    return event_names[static_cast<std::size_t>(event)];
}

std::optional<State> state_from_string(std::string_view text) noexcept {
    for (std::size_t index = 0; index < state_names.size(); ++index) {
        if (state_names[index] == text)
            return static_cast<State>(index);
    }
    return std::nullopt;
}

} // namespace updater
