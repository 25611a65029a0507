#include "supervisor.hpp"

#include <boost/test/unit_test.hpp>

#include <vector>

using init::EngineState;
using init::Msec;
using init::Supervisor;
using Action = init::Supervisor::Action;

BOOST_AUTO_TEST_SUITE(supervisor)

BOOST_AUTO_TEST_CASE(starts_at_once_and_runs) {
    Supervisor engine;
    BOOST_TEST((engine.next(0) == Action::none));
    engine.start(1000);
    BOOST_TEST((engine.next(1000) == Action::start));
    BOOST_TEST((engine.next(1000) == Action::none));
    engine.started(1000);
    BOOST_TEST((engine.state() == EngineState::starting));
    engine.alive(2000);
    BOOST_TEST((engine.state() == EngineState::running));
    BOOST_TEST(engine.deadline() == 2000 + Supervisor::alive_limit);
    BOOST_TEST(engine.restarts() == 0U);
}

BOOST_AUTO_TEST_CASE(silence_is_death) {
    Supervisor engine;
    engine.start(0);
    engine.next(0);
    engine.started(0);
    // Slow to speak is allowed for longer than silent later.
    BOOST_TEST((engine.next(Supervisor::first_alive_limit - 1) == Action::none));
    engine.alive(Supervisor::first_alive_limit - 1);
    Msec now = Supervisor::first_alive_limit - 1 + Supervisor::alive_limit;
    BOOST_TEST((engine.next(now - 1) == Action::none));
    BOOST_TEST((engine.next(now) == Action::kill));
    BOOST_TEST((engine.state() == EngineState::hung));
    // A late word changes nothing, and the kill is repeated until it ended.
    engine.alive(now + 1);
    BOOST_TEST((engine.state() == EngineState::hung));
    BOOST_TEST((engine.next(now + Supervisor::kill_repeat) == Action::kill));
    engine.ended(now + Supervisor::kill_repeat);
    BOOST_TEST((engine.state() == EngineState::backoff));
}

BOOST_AUTO_TEST_CASE(pauses_grow_to_a_limit) {
    Supervisor engine;
    engine.start(0);
    Msec now = 0;
    std::vector<Msec> pauses;
    for (int i = 0; i < 12; ++i) {
        BOOST_REQUIRE((engine.next(now) == Action::start));
        engine.started(now);
        BOOST_TEST(engine.start_limit_hit() == (i >= 6));
        engine.ended(now);
        pauses.push_back(engine.deadline() - now);
        BOOST_REQUIRE((engine.next(engine.deadline() - 1) == Action::none));
        now = engine.deadline();
    }
    const std::vector<Msec> expected = {200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000, 30000};
    BOOST_TEST(pauses == expected, boost::test_tools::per_element());
    BOOST_TEST(engine.restarts() == 11U);
}

BOOST_AUTO_TEST_CASE(a_long_good_run_forgives) {
    Supervisor engine;
    engine.start(0);
    Msec now = 0;
    for (int i = 0; i < 5; ++i) {
        engine.next(now);
        engine.started(now);
        engine.ended(now);
        now = engine.deadline();
    }
    BOOST_TEST(engine.failures() == 5U);
    engine.next(now);
    engine.started(now);
    engine.alive(now + 1);
    engine.ended(now + Supervisor::stable_after);
    BOOST_TEST(engine.failures() == 1U);
    // As long, but never a word: not forgiven.
    now = engine.deadline();
    engine.next(now);
    engine.started(now);
    engine.ended(now + Supervisor::stable_after);
    BOOST_TEST(engine.failures() == 2U);
}

BOOST_AUTO_TEST_CASE(stop_terminates_then_kills_and_does_not_restart) {
    Supervisor engine;
    engine.start(0);
    engine.next(0);
    engine.started(0);
    engine.alive(10);
    engine.stop(1000);
    BOOST_TEST((engine.next(1000) == Action::terminate));
    BOOST_TEST((engine.next(1000 + Supervisor::stop_limit - 1) == Action::none));
    BOOST_TEST((engine.next(1000 + Supervisor::stop_limit) == Action::kill));
    engine.stop(1001 + Supervisor::stop_limit); // asked again: the same stop
    BOOST_TEST((engine.next(1001 + Supervisor::stop_limit) == Action::none));
    engine.ended(2000 + Supervisor::stop_limit);
    BOOST_TEST((engine.state() == EngineState::absent));
    BOOST_TEST(engine.deadline() == init::never);
    BOOST_TEST((engine.next(UINT64_MAX - 1) == Action::none));
}

BOOST_AUTO_TEST_CASE(stop_without_a_process_is_immediate) {
    Supervisor engine;
    engine.stop(0);
    BOOST_TEST((engine.state() == EngineState::absent));
    engine.start(0);
    engine.next(0);
    engine.ended(0); // could not be started
    engine.stop(10);
    BOOST_TEST((engine.state() == EngineState::absent));
    BOOST_TEST((engine.next(100'000) == Action::none));
}

BOOST_AUTO_TEST_SUITE_END()
