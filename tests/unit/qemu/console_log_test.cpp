#include <boost/test/unit_test.hpp>

#include <fstream>
#include <thread>

#include <sys/eventfd.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "qemu/console_log.hpp"

using qemu::ConsoleLog;
using qemu::Deadline;
using qemu::Seconds;

namespace {

void append(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::app) << text << std::flush;
}

struct Fixture {
    base::TempDir directory{"console"};
    std::string path = directory / "console.log";
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(console_log, Fixture)

BOOST_AUTO_TEST_CASE(finds_text_in_order_and_goes_on_after_it) {
    ConsoleLog log(path);
    append(path, "one two three\n");
    BOOST_TEST(log.wait_for_any({"two"}, Deadline(Seconds(5)), -1) == 0U);
    BOOST_TEST(log.wait_for_any({"one", "three"}, Deadline(Seconds(5)), -1) == 1U); // "one" has been passed
    BOOST_CHECK_THROW(log.wait_for_any({"two"}, Deadline(Seconds(0)), -1), base::Error);
}

BOOST_AUTO_TEST_CASE(the_earlier_place_wins_over_the_earlier_choice) {
    ConsoleLog log(path);
    append(path, "panic, then login\n");
    BOOST_TEST(log.wait_for_any({"login", "panic"}, Deadline(Seconds(5)), -1) == 1U);
}

BOOST_AUTO_TEST_CASE(text_written_in_two_parts_while_waiting_is_found) {
    ConsoleLog log(path);
    append(path, "begin hea");
    std::thread writer([&] { append(path, "lthy end\n"); });
    BOOST_TEST(log.wait_for_any({"healthy"}, Deadline(Seconds(20)), -1) == 0U);
    writer.join();
}

BOOST_AUTO_TEST_CASE(what_was_there_before_is_not_seen) {
    append(path, "of the boot before\n");
    ConsoleLog log(path);
    BOOST_CHECK_THROW(log.wait_for_any({"before"}, Deadline(Seconds(0)), -1), base::Error);
    append(path, "new\n");
    log.skip_to_end();
    BOOST_CHECK_THROW(log.wait_for_any({"new"}, Deadline(Seconds(0)), -1), base::Error);
}

BOOST_AUTO_TEST_CASE(the_end_of_the_machine_ends_the_wait_after_its_last_words) {
    ConsoleLog log(path);
    const base::UniqueFd ended(::eventfd(1, EFD_CLOEXEC));
    append(path, "last words\n");
    BOOST_TEST(log.wait_for_any({"last words"}, Deadline(Seconds(600)), ended.get()) == 0U);
    BOOST_CHECK_EXCEPTION(
        log.wait_for_any({"never"}, Deadline(Seconds(600)), ended.get()), base::Error, [](const base::Error& error) {
            const std::string text = error.what();
            return text.find("ended before") != std::string::npos && text.find("last words") != std::string::npos;
        });
}

BOOST_AUTO_TEST_CASE(the_tail_is_plain_text) {
    ConsoleLog log(path);
    append(path, "first\r\n\033[1;31msecond\033[0m\r\nthird\r\n");
    BOOST_TEST(log.tail(2) == "second\nthird\n");
    BOOST_TEST(log.tail(100) == "first\nsecond\nthird\n");
    BOOST_TEST(qemu::plain_text("a\033") == "a");
    BOOST_TEST(qemu::plain_text("a\033[12") == "a");
}

BOOST_AUTO_TEST_SUITE_END()
