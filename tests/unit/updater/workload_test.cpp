#include "updater/workload.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "base/files.hpp"
#include "updater/record.hpp"
#include "updater/workload_checks.hpp"

using namespace updater;
using Kind = base::HealthCheck::Kind;

namespace {

base::HealthCheck check(Kind kind, std::uint64_t at_least = 1) {
    base::HealthCheck made;
    made.name = "shop";
    made.kind = kind;
    made.target = "shop";
    made.at_least = at_least;
    return made;
}

base::HealthCheck command(std::vector<std::string> argv, std::uint64_t timeout = 10) {
    base::HealthCheck made = check(Kind::command);
    made.target.clear();
    made.command = std::move(argv);
    made.timeout_seconds = timeout;
    return made;
}

ContainerFacts container(const std::string& state, const std::string& health = {}) {
    return {"id-1", "shop-1", state, health};
}

Outcome outcome(Kind kind, const std::vector<ContainerFacts>& found, std::uint64_t at_least = 1) {
    return judge_containers(check(kind, at_least), found).outcome;
}

} // namespace

BOOST_TEST_DONT_PRINT_LOG_VALUE(updater::Outcome)

BOOST_AUTO_TEST_SUITE(updater_workload)

BOOST_AUTO_TEST_CASE(containers_run_and_are_healthy) {
    for (const Kind kind : {Kind::service, Kind::container, Kind::label, Kind::unit}) {
        for (const char* health : {"", "none", "healthy"})
            BOOST_TEST(outcome(kind, {container("running", health)}) == Outcome::passed);
        for (const char* health : {"starting", "unhealthy"})
            BOOST_TEST(outcome(kind, {container("running", health)}) == Outcome::failed);
        for (const char* state : {"exited", "created", "restarting", "paused", "dead", ""})
            BOOST_TEST(outcome(kind, {container(state)}) == Outcome::failed);
    }
}

BOOST_AUTO_TEST_CASE(who_is_missing) {
    for (const Kind kind : {Kind::service, Kind::container, Kind::label})
        BOOST_TEST(outcome(kind, {}) == Outcome::failed);
    // Where a unit runs is the fleet's business, and its store may not be reachable yet.
    BOOST_TEST(outcome(Kind::unit, {}) == Outcome::unknown);
    BOOST_TEST(outcome(Kind::unit, {container("running"), container("exited")}) == Outcome::failed);
}

BOOST_AUTO_TEST_CASE(labels_count) {
    const std::vector<ContainerFacts> found = {container("running"), container("exited"), container("running")};
    BOOST_TEST(outcome(Kind::label, found, 2) == Outcome::passed);
    const CheckResult result = judge_containers(check(Kind::label, 3), found);
    BOOST_TEST(result.outcome == Outcome::failed);
    BOOST_TEST(result.detail == "2 of 3 containers; shop-1 is exited");
    BOOST_TEST(result.container == "id-1");
    BOOST_TEST(judge_containers(check(Kind::label, 2), {}).detail == "0 of 2 containers");
}

BOOST_AUTO_TEST_CASE(exit_codes) {
    BOOST_TEST(judge_exit(check(Kind::command), 0, "x").outcome == Outcome::passed);
    BOOST_TEST(judge_exit(check(Kind::command), 75, "no name server").outcome == Outcome::unknown);
    const CheckResult result = judge_exit(check(Kind::check_container), 3, "first\nlast\x1b line\n\n");
    BOOST_TEST(result.outcome == Outcome::failed);
    BOOST_TEST(result.detail == "exit code 3: last? line");
    BOOST_TEST(result.container == "shop");
    BOOST_TEST(judge_exit(check(Kind::command), 1, "\n").detail == "exit code 1");
}

BOOST_AUTO_TEST_CASE(commands_are_run) {
    const auto run = [](const base::HealthCheck& made) {
        return run_checks({made}, "/nonexistent.sock").front();
    };
    BOOST_TEST(run(command({"true"})).outcome == Outcome::passed);
    BOOST_TEST(run(command({"sh", "-c", "echo out; echo err >&2; exit 4"})).detail == "exit code 4: err");
    BOOST_TEST(run(command({"sh", "-c", "exit 75"})).outcome == Outcome::unknown);
    BOOST_TEST(run(command({"/nonexistent/program"})).outcome == Outcome::failed);
    BOOST_TEST(run(command({"sh", "-c", "yes | head -c 200000"})).outcome == Outcome::failed); // more than is read
    BOOST_TEST(run(command({"sleep", "1000"}, 1)).outcome == Outcome::failed);
}

BOOST_AUTO_TEST_CASE(an_engine_that_does_not_answer_is_not_the_workloads_failure) {
    for (const Kind kind : {Kind::service, Kind::container, Kind::label, Kind::unit, Kind::check_container}) {
        const auto results = run_checks({check(kind)}, "/nonexistent.sock");
        BOOST_TEST_REQUIRE(results.size() == 1U);
        BOOST_TEST(results.front().outcome == Outcome::unknown);
    }
}

BOOST_AUTO_TEST_CASE(only_what_passed_shortly_before_is_held_against_the_next) {
    const base::HealthCheck shop = check(Kind::label);
    const std::vector<CheckResult> passed = {judge_containers(shop, {container("running")})};
    const std::vector<CheckResult> failed = {judge_containers(shop, {})};
    Baseline baseline;
    BOOST_TEST(!baseline.blames(shop, "new"));
    baseline.add("old", failed, 1000);
    BOOST_TEST(!baseline.blames(shop, "new")); // it failed before, too
    baseline.add("old", passed, 1020);
    BOOST_TEST(baseline.blames(shop, "new"));
    BOOST_TEST(!baseline.blames(shop, "old")); // of the revision itself it says nothing
    baseline.add("old", failed, 1020 + Baseline::max_age);
    BOOST_TEST(baseline.blames(shop, "new"));
    baseline.add("old", failed, 1021 + Baseline::max_age);
    BOOST_TEST(!baseline.blames(shop, "new")); // it has been failing for long
    baseline.add("older", {}, 2000);
    BOOST_TEST(baseline.passed.empty());
    // The clock was set back: nothing is known.
    baseline.add("old", passed, 5000);
    baseline.add("old", failed, 4000);
    BOOST_TEST(!baseline.blames(shop, "new"));
}

BOOST_AUTO_TEST_CASE(a_check_that_was_changed_is_another_one) {
    Baseline baseline;
    baseline.add("old", {judge_containers(check(Kind::label), {container("running")})}, 1000);
    BOOST_TEST(!baseline.blames(check(Kind::container), "new"));
    BOOST_TEST(!baseline.blames(check(Kind::label, 2), "new"));
    BOOST_TEST(baseline.blames(check(Kind::label), "new"));
}

BOOST_AUTO_TEST_CASE(the_record_keeps_it) {
    Record record;
    record.baseline = Baseline{};
    record.baseline->add("old", {judge_containers(check(Kind::label), {container("running")})}, 1000);
    const Record read = parse_record(serialize_record(record), "state.json");
    BOOST_TEST_REQUIRE(read.baseline.has_value());
    BOOST_TEST((*read.baseline == *record.baseline));
    BOOST_CHECK_THROW(parse_record(R"({"baseline":{"passed":[{}]}})", "state.json"), base::Error);
    BOOST_TEST(!parse_record("{}", "state.json").baseline.has_value());
}

BOOST_AUTO_TEST_SUITE_END()
