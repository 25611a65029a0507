#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "updater/fleet_lock.hpp"
#include "updater/policy.hpp"

using namespace updater;
using Mode = base::UpdatePolicy::Mode;
using Window = base::UpdatePolicy::Window;

namespace {

constexpr std::uint8_t sunday = 1, saturday = 1 << 6, every_day = 0x7f;
constexpr const char* berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
// 2026: daylight saving begins on Sunday 29 March and ends on Sunday 25 October, both at 01:00 UTC.
constexpr std::int64_t spring = 1'774'746'000;
constexpr std::int64_t autumn = 1'792'890'000;

PolicyFacts staged(Mode mode) {
    PolicyFacts facts;
    facts.mode = mode;
    facts.state = State::staged;
    facts.is_good = true;
    facts.lock_due = true;
    return facts;
}

bool is(const PolicyFacts& facts, PolicyAction action) {
    return decide(facts) == action;
}

} // namespace

BOOST_AUTO_TEST_SUITE(updater_policy)

BOOST_AUTO_TEST_CASE(civil_time) {
    const LocalTime utc = clock_of("UTC")(spring);
    BOOST_TEST(utc.weekday == 0U);
    BOOST_TEST(utc.minute == 60U);
    BOOST_TEST(clock_of("+05:30")(spring).minute == 390U);
    BOOST_TEST(clock_of("-03:00")(spring).weekday == 6U);
    BOOST_TEST(clock_of("-03:00")(spring).minute == 22U * 60);
    BOOST_TEST(clock_of(berlin)(spring - 60).minute == 119U);
    BOOST_TEST(clock_of(berlin)(spring).minute == 180U); // 02:00 to 03:00 is skipped
    BOOST_TEST(clock_of(berlin)(autumn - 60).minute == 179U);
    BOOST_TEST(clock_of(berlin)(autumn).minute == 120U); // and comes twice in autumn
    for (const char* bad : {"", "Nowhere/City", "+25:00", "../etc/passwd", "/etc/localtime", "X", "12"})
        BOOST_CHECK_THROW(clock_of(bad), base::Error);
}

BOOST_AUTO_TEST_CASE(windows) {
    const std::vector<Window> night{{.days = saturday, .start = 23 * 60, .end = 2 * 60}};
    BOOST_TEST(!is_open(night, {6, 23 * 60 - 1}));
    BOOST_TEST(is_open(night, {6, 23 * 60}));
    BOOST_TEST(is_open(night, {0, 0}));
    BOOST_TEST(is_open(night, {0, 119}));
    BOOST_TEST(!is_open(night, {0, 120}));
    BOOST_TEST(!is_open(night, {6, 60})); // Friday's night is not in it
    BOOST_TEST(is_open({{.days = every_day, .start = 0, .end = 24 * 60}}, {3, 1439}));
    BOOST_TEST(!is_open({}, {3, 0}));
}

BOOST_AUTO_TEST_CASE(next_window) {
    const std::vector<Window> skipped{{.days = every_day, .start = 2 * 60, .end = 3 * 60}};
    const LocalClock clock = clock_of(berlin);
    // From Saturday 12:00: Sunday's does not come, Monday's does at 00:00 UTC.
    BOOST_TEST(next_opening(skipped, clock, spring - 14 * 3600).value() == spring + 23 * 3600);
    BOOST_TEST(next_opening(skipped, clock, autumn - 3600 + 60).value() ==
               autumn - 3600 + 60);                                               // open: the first of two
    BOOST_TEST(next_opening(skipped, clock, autumn + 60).value() == autumn + 60); // and the second
    BOOST_TEST(!next_opening({{.days = 0, .start = 0, .end = 1}}, clock, spring).has_value());
    BOOST_TEST(next_opening({{.days = sunday, .start = 600, .end = 660}}, clock_of("UTC"), spring).value() ==
               spring + 9 * 3600);
}

BOOST_AUTO_TEST_CASE(what_is_done) {
    for (const Mode mode : {Mode::off, Mode::check, Mode::stage, Mode::windows})
        BOOST_TEST(is(staged(mode), PolicyAction::none));
    BOOST_TEST(is(staged(Mode::immediate), PolicyAction::reboot));
    PolicyFacts facts = staged(Mode::windows);
    facts.window_open = true;
    BOOST_TEST(is(facts, PolicyAction::reboot));
    facts.look_due = true;
    BOOST_TEST(is(facts, PolicyAction::reboot));
    facts.window_open = false;
    BOOST_TEST(is(facts, PolicyAction::stage));
    facts = staged(Mode::check);
    facts.look_due = true;
    BOOST_TEST(is(facts, PolicyAction::check));
    facts.mode = Mode::off;
    BOOST_TEST(is(facts, PolicyAction::none));
    for (const State state : {State::checking, State::downloading, State::verifying, State::rebooting, State::trying}) {
        facts = staged(Mode::immediate);
        facts.state = state;
        facts.look_due = true;
        BOOST_TEST(is(facts, PolicyAction::none));
    }
    facts = staged(Mode::immediate);
    facts.busy = true;
    BOOST_TEST(is(facts, PolicyAction::none));
}

BOOST_AUTO_TEST_CASE(the_lock) {
    PolicyFacts facts = staged(Mode::immediate);
    facts.has_lock = true;
    BOOST_TEST(is(facts, PolicyAction::release_lock)); // from before the boot
    facts.released = true;
    BOOST_TEST(is(facts, PolicyAction::take_lock));
    facts.lock_due = false;
    BOOST_TEST(is(facts, PolicyAction::none));
    facts = {};
    facts.has_lock = true;
    facts.lock_due = true;
    facts.state = State::good;
    BOOST_TEST(is(facts, PolicyAction::none)); // not known good: others had better wait
    facts.is_good = true;
    BOOST_TEST(is(facts, PolicyAction::release_lock)); // also with the policy off
}

BOOST_AUTO_TEST_CASE(pauses_grow_and_differ) {
    using std::chrono::milliseconds;
    BOOST_TEST((retry_pause(0, 0) == milliseconds(7'500)));
    BOOST_TEST((retry_pause(0, 1) == milliseconds(12'500)));
    BOOST_TEST((retry_pause(3, 0.5) == milliseconds(80'000)));
    BOOST_TEST((retry_pause(1'000'000, 0.5) == milliseconds(600'000)));
}

BOOST_AUTO_TEST_CASE(lock_texts) {
    const base::RebootLock lock{.url = "http://x", .group = "web", .id = "me"};
    BOOST_TEST(lock_body(lock, lock_id(lock, "")) == R"({"client_params":{"id":"me","group":"web"}})");
    const std::string made = lock_id({}, "0123456789abcdef0123456789abcdef");
    BOOST_TEST(made.size() == 32U);
    BOOST_TEST(made != "0123456789abcdef0123456789abcdef");
    BOOST_CHECK_THROW(lock_id({}, ""), base::Error);
    BOOST_TEST(lock_refusal(409, R"({"kind":"failed_lock","value":"all slots\ntaken"})") ==
               "failed_lock: all slots taken");
    BOOST_TEST(lock_refusal(500, "<html>") == "HTTP status 500");
    BOOST_TEST(lock_refusal(500, "[]") == "HTTP status 500");
}

BOOST_AUTO_TEST_SUITE_END()
