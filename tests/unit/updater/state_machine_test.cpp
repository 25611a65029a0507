#include <boost/test/unit_test.hpp>

#include "updater/state_machine.hpp"

using namespace updater;

namespace {

constexpr std::array all_states{State::idle,      State::checking, State::downloading, State::verifying,  State::staged,
                                State::rebooting, State::trying,   State::good,        State::rolled_back};
constexpr std::array all_events{
    Event::check,         Event::update_found,  Event::content_complete, Event::content_verified, Event::staged_local,
    Event::ended,         Event::order_written, Event::order_reverted,   Event::dropped,
    Event::boot_on_trial, Event::boot_good,     Event::boot_fell_back,   Event::judged_good};

} // namespace

BOOST_AUTO_TEST_SUITE(updater_state_machine)

BOOST_AUTO_TEST_CASE(an_upgrade_from_looking_to_good) {
    State state = State::idle;
    for (const auto& [event, expected] : {std::pair(Event::check, State::checking),
                                          {Event::update_found, State::downloading},
                                          {Event::content_complete, State::verifying},
                                          {Event::content_verified, State::staged},
                                          {Event::order_written, State::rebooting},
                                          {Event::boot_on_trial, State::trying},
                                          {Event::judged_good, State::good}}) {
        const auto next = next_state(state, event, State::idle);
        BOOST_TEST_REQUIRE(next.has_value());
        BOOST_TEST(to_string(*next) == to_string(expected));
        state = *next;
    }
}

BOOST_AUTO_TEST_CASE(a_job_without_result_goes_back_to_where_it_came_from) {
    for (const State busy : {State::checking, State::downloading, State::verifying})
        for (const State resting : {State::idle, State::good, State::rolled_back, State::staged})
            BOOST_TEST((next_state(busy, Event::ended, resting) == resting));
    BOOST_TEST(!next_state(State::good, Event::ended, State::good).has_value());
    BOOST_TEST(!next_state(State::trying, Event::ended, State::good).has_value());
}

BOOST_AUTO_TEST_CASE(nothing_is_fetched_on_trial_or_before_a_reboot) {
    BOOST_TEST(!next_state(State::trying, Event::check, State::idle).has_value());
    BOOST_TEST(!next_state(State::rebooting, Event::check, State::good).has_value());
    for (const State busy : {State::checking, State::downloading, State::verifying}) {
        BOOST_TEST(!next_state(busy, Event::check, State::good).has_value());
        BOOST_TEST(!next_state(busy, Event::order_written, State::good).has_value());
    }
}

BOOST_AUTO_TEST_CASE(a_boot_is_taken_in_every_state) {
    for (const State state : all_states) {
        BOOST_TEST((next_state(state, Event::boot_on_trial, State::good) == State::trying));
        BOOST_TEST((next_state(state, Event::boot_fell_back, State::good) == State::rolled_back));
        BOOST_TEST((next_state(state, Event::boot_good, State::good) == State::good));
        BOOST_TEST((next_state(state, Event::boot_good, State::staged) == State::staged));
    }
}

BOOST_AUTO_TEST_CASE(only_a_trial_is_judged_and_only_staged_is_dropped) {
    for (const State state : all_states) {
        BOOST_TEST(next_state(state, Event::judged_good, State::good).has_value() == (state == State::trying));
        BOOST_TEST(next_state(state, Event::dropped, State::good).has_value() == (state == State::staged));
        BOOST_TEST(next_state(state, Event::order_reverted, State::good).has_value() == (state == State::rebooting));
    }
    BOOST_TEST(!next_state(State::staged, Event::dropped, State::staged).has_value());
}

BOOST_AUTO_TEST_CASE(what_rests_is_what_a_check_may_leave) {
    for (const State state : all_states)
        BOOST_TEST(is_resting(state) == next_state(state, Event::check, State::good).has_value());
}

BOOST_AUTO_TEST_CASE(names) {
    for (const State state : all_states)
        BOOST_TEST((state_from_string(to_string(state)) == state));
    BOOST_TEST(!state_from_string("rolled_back").has_value());
    BOOST_TEST(!state_from_string("").has_value());
    std::set<std::string_view> event_names;
    for (const Event event : all_events)
        event_names.insert(to_string(event));
    BOOST_TEST(event_names.size() == all_events.size());
}

BOOST_AUTO_TEST_SUITE_END()
