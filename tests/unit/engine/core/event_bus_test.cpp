#include "core/event_bus.hpp"

#include <boost/test/unit_test.hpp>

#include <thread>

namespace {
using namespace std::chrono_literals;

engine::Event event(const std::string& action) {
    engine::Event result;
    result.type = "container";
    result.action = action;
    return result;
}
} // namespace

BOOST_AUTO_TEST_SUITE(event_bus)

BOOST_AUTO_TEST_CASE(each_subscriber_gets_what_comes_after_it) {
    engine::EventBus bus;
    bus.publish(event("before"));
    auto first = bus.subscribe();
    bus.publish(event("one"));
    auto second = bus.subscribe();
    bus.publish(event("two"));
    BOOST_TEST(first.next(0ms)->action == "one");
    BOOST_TEST(first.next(0ms)->action == "two");
    BOOST_TEST(!first.next(0ms).has_value());
    BOOST_TEST(second.next(0ms)->action == "two");
    BOOST_TEST(bus.recent().size() == 3U);
}

BOOST_AUTO_TEST_CASE(a_slow_subscriber_loses_the_oldest) {
    engine::EventBus bus;
    auto slow = bus.subscribe();
    for (int i = 0; i < 5000; ++i)
        bus.publish(event(std::to_string(i)));
    BOOST_TEST(slow.next(0ms)->action == std::to_string(5000 - 4096));
    BOOST_TEST(bus.recent().size() == 1024U);
}

BOOST_AUTO_TEST_CASE(stopping_wakes_who_waits) {
    engine::EventBus bus;
    auto waiter = bus.subscribe();
    std::thread stopper([&] { bus.stop(); });
    BOOST_TEST(!waiter.next(60s).has_value()); // the test's own time limit would tell
    stopper.join();
}

BOOST_AUTO_TEST_SUITE_END()
