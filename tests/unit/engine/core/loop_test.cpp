#include "core/loop.hpp"

#include <sys/eventfd.h>

#include <boost/test/unit_test.hpp>

#include <future>

#include "base/unique_fd.hpp"

namespace {
using namespace std::chrono_literals;
}

BOOST_AUTO_TEST_SUITE(loop)

BOOST_AUTO_TEST_CASE(timers_run_in_the_order_of_their_times) {
    engine::Loop loop;
    std::string order;
    std::promise<void> done;
    loop.after(60ms, [&] {
        order += "c";
        done.set_value();
    });
    loop.after(1ms, [&] { order += "a"; });
    loop.after(30ms, [&] { order += "b"; });
    const auto never = loop.after(40ms, [&] { order += "x"; });
    loop.cancel(never);
    loop.start();
    BOOST_REQUIRE((done.get_future().wait_for(30s) == std::future_status::ready));
    loop.stop();
    BOOST_TEST(order == "abc");
    BOOST_TEST(loop.turns() > 0U);
}

BOOST_AUTO_TEST_CASE(a_readable_descriptor_is_told_until_unwatched) {
    engine::Loop loop;
    base::UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    std::atomic<int> calls = 0;
    std::promise<void> twice;
    loop.watch(fd.get(), [&] {
        if (++calls == 2) {
            loop.unwatch(fd.get());
            twice.set_value();
        }
    });
    loop.start();
    const std::uint64_t one = 1;
    BOOST_REQUIRE(::write(fd.get(), &one, sizeof one) == sizeof one); // never read: readable for ever
    BOOST_REQUIRE((twice.get_future().wait_for(30s) == std::future_status::ready));
    std::promise<void> later;
    loop.after(20ms, [&] { later.set_value(); });
    BOOST_REQUIRE((later.get_future().wait_for(30s) == std::future_status::ready));
    loop.stop();
    BOOST_TEST(calls == 2);
}

BOOST_AUTO_TEST_CASE(an_exception_does_not_end_the_loop) {
    engine::Loop loop;
    std::promise<void> after;
    loop.after(1ms, [] { throw std::runtime_error("for the log"); });
    loop.after(5ms, [&] { after.set_value(); });
    loop.start();
    BOOST_TEST((after.get_future().wait_for(30s) == std::future_status::ready));
}

BOOST_AUTO_TEST_CASE(tasks_are_waited_for) {
    std::atomic<int> done = 0;
    {
        engine::Tasks tasks;
        for (int i = 0; i < 8; ++i)
            tasks.start([&] {
                std::this_thread::sleep_for(5ms);
                ++done;
            });
        tasks.join();
        BOOST_TEST(done == 8);
        tasks.start([&] { ++done; });
    }
    BOOST_TEST(done == 8);
}

BOOST_AUTO_TEST_SUITE_END()
