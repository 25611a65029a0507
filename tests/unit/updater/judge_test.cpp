#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "updater/judge.hpp"

using namespace updater;
using namespace std::chrono_literals;

namespace {

HealthReport report(const std::string& state, const std::string& health, std::int64_t restarts = 0) {
    HealthReport made;
    made.reachable = true;
    made.services = {{"network", true, state, health, restarts, "why"},
                     {"updater", true, "starting", "unhealthy", 7, ""},
                     {"echo", false, "failed", "unhealthy", 7, ""}};
    return made;
}

Judge judge() {
    return Judge(Judge::Options{.settle = 10s, .deadline = 60s, .own_service = "updater"});
}

bool is(Judge::Verdict left, Judge::Verdict right) {
    return left == right;
}

} // namespace

BOOST_AUTO_TEST_SUITE(updater_judge)

BOOST_AUTO_TEST_CASE(good_after_the_settle_time) {
    Judge trial = judge();
    BOOST_TEST(is(trial.observe(report("running", "healthy"), 5s), Judge::Verdict::undecided));
    BOOST_TEST(is(trial.observe(report("running", "healthy"), 14'999ms), Judge::Verdict::undecided));
    BOOST_TEST(is(trial.observe(report("running", "healthy"), 15s), Judge::Verdict::good));
}

BOOST_AUTO_TEST_CASE(own_and_optional_services_do_not_count) {
    Judge trial = judge();
    trial.observe(report("running", ""), 0s);
    BOOST_TEST(!trial.failure().has_value());
    BOOST_TEST(is(trial.observe(report("running", "none"), 10s), Judge::Verdict::good));
}

BOOST_AUTO_TEST_CASE(a_failure_starts_the_settle_time_again) {
    Judge trial = judge();
    trial.observe(report("running", "healthy"), 0s);
    trial.observe(report("running", "unhealthy"), 9s);
    BOOST_TEST(!trial.healthy_since().has_value());
    trial.observe(report("running", "healthy"), 10s);
    BOOST_TEST(is(trial.observe(report("running", "healthy"), 19s), Judge::Verdict::undecided));
    BOOST_TEST(is(trial.observe(report("running", "healthy"), 20s), Judge::Verdict::good));
}

BOOST_AUTO_TEST_CASE(a_restart_between_two_reports_is_a_failure) {
    Judge trial = judge();
    trial.observe(report("running", "healthy", 1), 0s); // restarts from before are not held against it
    BOOST_TEST(!trial.failure().has_value());
    trial.observe(report("running", "healthy", 2), 5s);
    BOOST_TEST_REQUIRE(trial.failure().has_value());
    BOOST_TEST(trial.failure()->check == "service network keeps running");
    BOOST_TEST(!trial.healthy_since().has_value());
}

BOOST_AUTO_TEST_CASE(bad_at_the_deadline_with_the_reason) {
    Judge trial = judge();
    BOOST_TEST(is(trial.observe(report("running", "unhealthy"), 59s), Judge::Verdict::undecided));
    BOOST_TEST(is(trial.observe(report("running", "unhealthy"), 60s), Judge::Verdict::bad));
    BOOST_TEST(trial.failure()->check == "service network is healthy");
    BOOST_TEST(trial.failure()->detail == "health unhealthy: why");
    BOOST_TEST(trial.failure()->definite);
}

BOOST_AUTO_TEST_CASE(what_is_definite) {
    Judge trial = judge();
    trial.observe(HealthReport::unreachable("no socket"), 0s);
    BOOST_TEST(!trial.failure()->definite);
    BOOST_TEST(trial.failure()->detail == "no socket");
    trial.observe(report("running", "starting"), 1s);
    BOOST_TEST(!trial.failure()->definite);
    trial.observe(report("starting", ""), 2s);
    BOOST_TEST(!trial.failure()->definite);
    trial.observe(report("failed", ""), 3s);
    BOOST_TEST(trial.failure()->definite);
    trial.observe(report("starting", "", 3), 4s); // starts again and again
    BOOST_TEST(trial.failure()->definite);
}

BOOST_AUTO_TEST_CASE(healthy_at_the_deadline_gets_its_settle_time) {
    Judge trial = judge();
    trial.observe(report("starting", ""), 58s);
    BOOST_TEST(is(trial.observe(report("running", "healthy"), 59s), Judge::Verdict::undecided));
    BOOST_TEST(is(trial.observe(report("running", "healthy"), 65s), Judge::Verdict::undecided));
    BOOST_TEST(is(trial.observe(report("running", "healthy"), 69s), Judge::Verdict::good));
}

BOOST_AUTO_TEST_CASE(flapping_beyond_the_deadline_is_bad) {
    Judge trial = judge();
    trial.observe(report("running", "unhealthy"), 59s);
    BOOST_TEST(is(trial.observe(report("running", "healthy"), 69'500ms), Judge::Verdict::undecided));
    BOOST_TEST(is(trial.observe(report("running", "healthy"), 70s), Judge::Verdict::bad));
}

BOOST_AUTO_TEST_CASE(no_report_at_all) {
    const Judge trial = judge();
    BOOST_TEST(is(trial.expired(59s), Judge::Verdict::undecided));
    BOOST_TEST(is(trial.expired(60s), Judge::Verdict::bad));
}

BOOST_AUTO_TEST_CASE(health_documents) {
    const HealthReport parsed = HealthReport::parse(
        R"({"healthy":true,"services":[{"name":"network","required":true,"state":"running","health":"healthy",)"
        R"("restarts":2,"detail":""}]})",
        "health");
    BOOST_TEST(parsed.reachable);
    BOOST_TEST_REQUIRE(parsed.services.size() == 1U);
    BOOST_TEST(parsed.services[0].required);
    BOOST_TEST(parsed.services[0].restarts == 2);
    for (const char* bad : {"", "[]", "{}", R"({"services":{}})", R"({"services":[{}]})", R"({"services":[1]})",
                            R"({"services":[{"name":"a","required":"yes"}]})"})
        BOOST_CHECK_THROW(HealthReport::parse(bad, "health"), base::Error);
}

BOOST_AUTO_TEST_SUITE_END()
