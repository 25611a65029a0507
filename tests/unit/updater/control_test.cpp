#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "progress_bar.hpp"
#include "report.hpp"

using namespace updater;

namespace {

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

} // namespace

BOOST_AUTO_TEST_SUITE(updater_control)

BOOST_AUTO_TEST_CASE(bars) {
    BOOST_TEST(ProgressBar::line(5'000'000, 10'000'000, 3, 10, 10) ==
               "[=====     ]  50 %  5.0 of 10.0 MB  3 of 10 objects");
    BOOST_TEST(ProgressBar::line(0, 0, 10, 10, 4) == "[====] 100 %  10 of 10 objects");
    BOOST_TEST(ProgressBar::line(0, 0, 0, 0, 4) == "[    ]   0 %  0 of 0 objects");
    // More than was announced does not overflow the bar.
    BOOST_TEST(has(ProgressBar::line(30, 10, 0, 0, 4), "[====] 100 %"));
}

BOOST_AUTO_TEST_CASE(paces) {
    BOOST_TEST(ProgressBar::pace(5'000'000, 15'000'000, 2) == "  2.5 MB/s, 4 s left");
    BOOST_TEST(ProgressBar::pace(5'000'000, 0, 2) == "  2.5 MB/s");
    BOOST_TEST(ProgressBar::pace(0, 15'000'000, 2).empty());
    BOOST_TEST(ProgressBar::pace(5, 10, 0).empty());
}

BOOST_AUTO_TEST_CASE(status_text) {
    const std::string text = render_status(
        R"({"state":"rolled-back","booted":{"version":"1","commit":"aaaaaaaaaaaaaaaaaaaa","revision":"0000000000000001"},)"
        R"("booted_is_good":true,"last_error":"","rollback":{"version":"2","commit":"","revision":""},)"
        R"("receipts":[{"release":{"version":"2","revision":"0000000000000002"},"check":"service network is healthy",)"
        R"("detail":"health unhealthy","found_by":"updaterd","boots":1,"time":0,"condemned":true,"log":["no lease"]}]})");
    BOOST_TEST_INFO(text);
    BOOST_TEST(has(text, "state     rolled-back: a newer release failed"));
    BOOST_TEST(has(text, "booted    1  commit aaaaaaaaaaaa  revision 0000000000000001  (good)"));
    BOOST_TEST(has(text, "2 (revision 0000000000000002) failed on 1970-01-01 00:00:00: service network is healthy"));
    BOOST_TEST(has(text, "  | no lease"));
    BOOST_TEST(!has(text, "error "));
}

BOOST_AUTO_TEST_CASE(status_of_a_trial) {
    const std::string text = render_status(
        R"({"state":"trying","booted":{"version":"2","commit":"","revision":""},"booted_is_good":false,)"
        R"("trial":{"boots":2,"seconds":10,"deadline_seconds":580,"settle_seconds":30,"waiting_for":"engined answers"}})");
    BOOST_TEST(has(text, "trial     boot 2, 10 of 580 s; waiting for: engined answers"));
    BOOST_TEST(has(text, "not known good"));
}

BOOST_AUTO_TEST_CASE(history_text) {
    BOOST_TEST(render_history("[]") == "nothing happened yet\n");
    const std::string text = render_history(
        R"([{"time":86400,"event":"good","release":{"version":"2","commit":"b","revision":"r"},"detail":"healthy"}])");
    BOOST_TEST(text == "1970-01-02 00:00:00  good            2 (revision r): healthy\n");
}

BOOST_AUTO_TEST_CASE(answers_that_are_none) {
    BOOST_CHECK_THROW(render_status("["), base::Error);
    BOOST_CHECK_THROW(render_status("[]"), base::Error);
    BOOST_CHECK_THROW(render_history("{}"), std::exception);
}

BOOST_AUTO_TEST_SUITE_END()
