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
}

BOOST_AUTO_TEST_CASE(whose_log_explains_it) {
    Judge trial = judge();
    trial.observe(HealthReport::unreachable("no socket"), 0s);
    BOOST_TEST(trial.failure()->check == "engined answers");
    BOOST_TEST(trial.failure()->detail == "no socket");
    BOOST_TEST(trial.failure()->service.empty());
    trial.observe(report("starting", ""), 2s);
    BOOST_TEST(trial.failure()->check == "service network runs");
    BOOST_TEST(trial.failure()->detail == "state starting: why");
    BOOST_TEST(trial.failure()->service == "network");
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

namespace {

Judge judge_of_workload() {
    return Judge(Judge::Options{.settle = 10s, .deadline = 60s, .own_service = "updater", .blaming_checks = {"shop"}});
}

std::vector<CheckResult> round(Outcome shop, Outcome other = Outcome::passed) {
    return {{"other", other, "", "", "container other"}, {"shop", shop, "why not", "shop-1", "label app=shop"}};
}

} // namespace

BOOST_AUTO_TEST_CASE(nothing_is_good_before_the_checks_that_count_were_run) {
    Judge trial = judge_of_workload();
    trial.observe(report("running", "healthy"), 0s);
    BOOST_TEST(is(trial.observe(report("running", "healthy"), 30s), Judge::Verdict::undecided));
    BOOST_TEST(trial.failure()->check == "workload checks");
    BOOST_TEST(is(trial.observe_checks(round(Outcome::passed), 31s), Judge::Verdict::undecided));
    BOOST_TEST(is(trial.observe(report("running", "healthy"), 32s), Judge::Verdict::undecided));
    BOOST_TEST(is(trial.observe(report("running", "healthy"), 42s), Judge::Verdict::good));
    Judge never = judge_of_workload();
    BOOST_TEST(is(never.observe(report("running", "healthy"), 60s), Judge::Verdict::bad));
}

BOOST_AUTO_TEST_CASE(a_workload_that_fails_condemns_at_the_deadline) {
    Judge trial = judge_of_workload();
    trial.observe_checks(round(Outcome::passed), 0s);
    trial.observe(report("running", "healthy"), 0s);
    BOOST_TEST(is(trial.observe_checks(round(Outcome::failed), 9s), Judge::Verdict::undecided));
    BOOST_TEST(!trial.healthy_since().has_value()); // the settle time starts again
    BOOST_TEST(is(trial.observe(report("running", "healthy"), 12s), Judge::Verdict::undecided));
    BOOST_TEST(is(trial.observe_checks(round(Outcome::failed), 60s), Judge::Verdict::bad));
    BOOST_TEST(trial.failure()->check == "workload shop");
    BOOST_TEST(trial.failure()->detail == "label app=shop: why not");
    BOOST_TEST(trial.failure()->container == "shop-1");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_told_or_did_not_pass_before_does_not_count) {
    for (const auto& harmless : {round(Outcome::unknown), round(Outcome::passed, Outcome::failed)}) {
        Judge trial = judge_of_workload();
        trial.observe_checks(harmless, 0s);
        trial.observe(report("running", "healthy"), 0s);
        trial.observe_checks(harmless, 9s);
        BOOST_TEST(is(trial.observe(report("running", "healthy"), 10s), Judge::Verdict::good));
    }
}

BOOST_AUTO_TEST_CASE(a_failing_service_comes_before_a_failing_workload) {
    Judge trial = judge_of_workload();
    trial.observe_checks(round(Outcome::failed), 0s);
    trial.observe(report("running", "unhealthy"), 1s);
    BOOST_TEST(trial.failure()->check == "service network is healthy");
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
