#include <boost/test/unit_test.hpp>

#include "base/config_reader.hpp"
#include "base/host_config.hpp"

using Kind = base::HealthCheck::Kind;

namespace {

std::vector<base::HealthCheck> parse(const std::string& text) {
    return base::HostConfig::parse(text, "host.yaml").health;
}

void is_refused(const std::string& text, const std::string& problem) {
    BOOST_CHECK_EXCEPTION(parse(text), base::ConfigError, [&](const base::ConfigError& error) {
        BOOST_TEST_INFO(error.what());
        return std::string(error.what()).find(problem) != std::string::npos;
    });
}

} // namespace

BOOST_AUTO_TEST_SUITE(host_health)

BOOST_AUTO_TEST_CASE(every_kind) {
    const auto checks = parse(R"(
health:
  - {name: dns, service: network}
  - {name: db, container: db}
  - {name: shop, label: "com.example/app=shop", at_least: 2}
  - {name: web, unit: web}
  - {name: smoke, check_container: smoke, timeout: 30s}
  - {name: page, command: [wget, -q, -O, /dev/null, "http://127.0.0.1/"]}
)");
    BOOST_TEST_REQUIRE(checks.size() == 6U);
    const std::vector<Kind> kinds = {Kind::service, Kind::container,       Kind::label,
                                     Kind::unit,    Kind::check_container, Kind::command};
    for (std::size_t i = 0; i < kinds.size(); ++i)
        BOOST_TEST((checks[i].kind == kinds[i]));
    BOOST_TEST(checks[2].at_least == 2U);
    BOOST_TEST(checks[4].timeout_seconds == 30U);
    BOOST_TEST(checks[5].timeout_seconds == 10U);
    BOOST_TEST(checks[0].describe() == "service network");
    BOOST_TEST(checks[2].describe() == "label com.example/app=shop, at least 2");
    BOOST_TEST(checks[5].describe() == "command wget -q -O /dev/null http://127.0.0.1/");
    BOOST_TEST(parse("hostname: a\n").empty());
}

BOOST_AUTO_TEST_CASE(what_is_refused) {
    is_refused("health: [{name: a}]\n", "expected one of service, container");
    is_refused("health: [{service: a}]\n", "key name is missing");
    is_refused("health: [{name: a, service: a, unit: b}]\n", "one entry is one check");
    is_refused("health: [{name: a, service: a}, {name: a, unit: b}]\n", "there is a check a already");
    is_refused("health: [{name: 'a b', service: a}]\n", "expected letters");
    is_refused("health: [{name: a, container: '../x'}]\n", "not the name of one");
    is_refused("health: [{name: a, container: ''}]\n", "not the name of one");
    is_refused("health: [{name: a, label: '=x'}]\n", "not the name of one");
    is_refused("health: [{name: a, command: []}]\n", "expected a program");
    is_refused("health: [{name: a, command: x}]\n", "health");
    is_refused("health: [{name: a, unit: x, at_least: 2}]\n", "is for label");
    is_refused("health: [{name: a, label: x, at_least: 0}]\n", "at_least");
    is_refused("health: [{name: a, unit: x, timeout: 5s}]\n", "is for check_container and command");
    is_refused("health: [{name: a, command: [x], timeout: 2m}]\n", "expected 1s to 60s");
    is_refused("health: [{name: a, command: [x], interval: 2m}]\n", "interval");
    is_refused("health: {name: a}\n", "health");
    std::string many = "health:\n";
    for (int i = 0; i < 65; ++i)
        many += "  - {name: a" + std::to_string(i) + ", unit: x}\n";
    is_refused(many, "more than 64 checks");
}

BOOST_AUTO_TEST_SUITE_END()
