#include <boost/test/unit_test.hpp>

#include "base/config_reader.hpp"
#include "fleetd/unit_spec.hpp"

using namespace fleet;
using namespace std::chrono_literals;

namespace {

constexpr const char* web = R"(name: web
image: busybox:1
command: [httpd, -f, -p, "8080"]
env: {MODE: production, LEVEL: 3}
ports: ["8080:8080", "127.0.0.1:53:53/udp", "[::1]:443:8443", "9000"]
mounts: ["/var/lib/web:/data:rw", "cache:/cache:ro"]
restart: on-failure
replicas: 3
health: {command: [wget, -q, -O, /dev/null, "http://127.0.0.1:8080/"], interval: 10s, timeout: 5s, retries: 4}
)";

std::vector<std::string> problems_of(const std::string& text) {
    try {
        parse_unit(text, "u.yaml");
    } catch (const base::ConfigError& error) {
        return error.problems();
    }
    return {};
}

/// The one problem of a unit with a name, an image and `line`.
std::string problem_of(const std::string& line) {
    const auto problems = problems_of("name: a\nimage: b\n" + line + "\n");
    BOOST_REQUIRE_MESSAGE(problems.size() == 1, line << ": " << problems.size() << " problems");
    return problems.front();
}

} // namespace

BOOST_AUTO_TEST_SUITE(unit_parser)

BOOST_AUTO_TEST_CASE(reads_every_key) {
    const UnitSpec spec = parse_unit(web, "web.yaml");
    BOOST_TEST(spec.name == "web");
    BOOST_TEST(spec.image == "busybox:1");
    BOOST_TEST(spec.command == (std::vector<std::string>{"httpd", "-f", "-p", "8080"}),
               boost::test_tools::per_element());
    BOOST_TEST(spec.env.at("LEVEL") == "3");
    BOOST_REQUIRE(spec.ports.size() == 4);
    BOOST_CHECK((spec.ports[0] == PublishedPort{"", 8080, 8080, "tcp"}));
    BOOST_CHECK((spec.ports[1] == PublishedPort{"127.0.0.1", 53, 53, "udp"}));
    BOOST_CHECK((spec.ports[2] == PublishedPort{"::1", 443, 8443, "tcp"}));
    BOOST_CHECK((spec.ports[3] == PublishedPort{"", 0, 9000, "tcp"}));
    BOOST_CHECK((spec.mounts[0] == UnitMount{"/var/lib/web", "/data", false}));
    BOOST_CHECK((spec.mounts[1] == UnitMount{"cache", "/cache", true}));
    BOOST_CHECK(spec.restart == Restart::on_failure);
    BOOST_TEST(spec.replicas == 3U);
    BOOST_REQUIRE(spec.health);
    BOOST_CHECK(spec.health->interval == 10s);
    BOOST_CHECK(spec.health->timeout == 5s);
    BOOST_TEST(spec.health->retries == 4U);
}

BOOST_AUTO_TEST_CASE(has_defaults) {
    const UnitSpec spec = parse_unit("name: a\nimage: b\n", "a.yaml");
    BOOST_CHECK(spec.restart == Restart::always);
    BOOST_TEST(spec.replicas == 1U);
    BOOST_TEST(!spec.health.has_value());
    BOOST_TEST(spec.command.empty());
}

BOOST_AUTO_TEST_CASE(reports_all_problems_with_their_place) {
    const auto problems = problems_of("name: -bad\n"
                                      "image: \"a b\"\n"
                                      "ports: [\"80:80\", \"80:81\", \"0:1\"]\n"
                                      "mounts: [\"relative/path:/x\"]\n"
                                      "restart: sometimes\n"
                                      "replicas: 0\n"
                                      "healthy: {}\n");
    const std::vector<std::string> starts{"u.yaml:1:7: name: ",       "u.yaml:2:8: image: ",
                                          "u.yaml:3:18: ports[1]: ",  "u.yaml:3:27: ports[2]: ",
                                          "u.yaml:4:10: mounts[0]: ", "u.yaml:5:10: restart: ",
                                          "u.yaml:6:11: replicas: ",  "u.yaml:7:1: healthy: unknown key"};
    BOOST_REQUIRE_EQUAL(problems.size(), starts.size());
    for (std::size_t i = 0; i < starts.size(); ++i)
        BOOST_TEST(problems[i].starts_with(starts[i]), problems[i]);
}

BOOST_AUTO_TEST_CASE(missing_keys_are_named) {
    const auto problems = problems_of("command: [true]\n");
    BOOST_REQUIRE_EQUAL(problems.size(), 2U);
    BOOST_TEST(problems[0] == "u.yaml:1:1: key name is missing");
    BOOST_TEST(problems[1] == "u.yaml:1:1: key image is missing");
}

BOOST_AUTO_TEST_CASE(an_empty_name_is_a_problem) {
    BOOST_TEST(problems_of("name: \"\"\nimage: b\n").size() == 1U);
}

BOOST_AUTO_TEST_CASE(refuses_bad_ports) {
    for (const char* port : {"", "x", "80:", ":80", "65536:1", "1:65536", "80:80/sctp", "::1:80:80", "a.b:80:80",
                             "[]:80:80", "[1]:80:80", "256.0.0.1:80:80", "-1:80", "1:2:3:4", " 80:80"})
        BOOST_TEST(problem_of(fmt::format("ports: [\"{}\"]", port)).find("ports[0]") != std::string::npos, port);
}

BOOST_AUTO_TEST_CASE(refuses_bad_mounts) {
    for (const char* mount : {"", "/a", "/a:b", "/a:/b:rx", "/a/../b:/c", "/a:/..", "/a:/", "-x:/a", "/a:/b:ro:ro"})
        BOOST_TEST(problem_of(fmt::format("mounts: [\"{}\"]", mount)).find("mounts[0]") != std::string::npos, mount);
    problem_of("mounts: [\"/a:/x\", \"/b:/x\"]");
}

BOOST_AUTO_TEST_CASE(refuses_other_bad_values) {
    problem_of("command: [\"\"]");
    problem_of("command: httpd");
    problem_of("env: {\"A=B\": x}");
    problem_of("env: {A: [1]}");
    problem_of("replicas: 257");
    problem_of("health: {command: [a], interval: 1ms}");
    problem_of("health: {interval: 1s}");
    problem_of("health: {command: [a], retries: 0}");
}

BOOST_AUTO_TEST_CASE(a_unit_file_has_a_limit) {
    const std::string text = "name: a\nimage: b\n#" + std::string(max_unit_text, 'x') + "\n";
    BOOST_TEST(problems_of(text).size() == 1U);
}

// Found by the fuzzer: such a unit was taken, and could not be read back from the store.
BOOST_AUTO_TEST_CASE(only_utf8_is_taken) {
    using namespace std::string_literals;
    for (const auto& bad : {"\x80"s, "\xc1\x80"s, "\xc3"s, "\xe0\x9f\x80"s, "\xed\xa0\x80"s, "\xf0\x8f\x80\x80"s,
                            "\xf4\x90\x80\x80"s, "\xff"s}) {
        const auto problems = problems_of("name: a\nimage: b # " + bad + "\n");
        BOOST_REQUIRE_EQUAL(problems.size(), 1U);
        BOOST_TEST(problems[0] == "u.yaml:2:12: not UTF-8 text");
    }
    for (const auto& good : {"\x7f"s, "\xc2\x80"s, "\xe0\xa0\x80"s, "\xed\x9f\xbf"s, "\xef\xbf\xbd"s,
                             "\xf0\x90\x80\x80"s, "\xf4\x8f\xbf\xbf"s})
        BOOST_TEST(problems_of("name: a\nimage: b\ncommand: [a, \"" + good + "\"]\n").empty(), good);
}

BOOST_AUTO_TEST_CASE(ports_conflict_by_port_protocol_and_address) {
    const PublishedPort any{"", 80, 1, "tcp"};
    BOOST_TEST(ports_conflict(any, {"", 80, 2, "tcp"}));
    BOOST_TEST(ports_conflict(any, {"10.0.0.1", 80, 2, "tcp"}));
    BOOST_TEST(ports_conflict({"0.0.0.0", 80, 1, "tcp"}, {"10.0.0.1", 80, 2, "tcp"}));
    BOOST_TEST(!ports_conflict(any, {"", 81, 1, "tcp"}));
    BOOST_TEST(!ports_conflict(any, {"", 80, 1, "udp"}));
    BOOST_TEST(!ports_conflict({"10.0.0.1", 80, 1, "tcp"}, {"10.0.0.2", 80, 1, "tcp"}));
    BOOST_TEST(!ports_conflict({"", 0, 1, "tcp"}, {"", 0, 1, "tcp"}));
}

BOOST_AUTO_TEST_CASE(the_hash_covers_what_a_container_depends_on) {
    const UnitSpec spec = parse_unit(web, "web.yaml");
    UnitSpec same = spec;
    same.replicas = 7;
    same.name = "other";
    BOOST_TEST(unit_hash(same) == unit_hash(spec));
    const auto differs = [&](auto change) {
        UnitSpec changed = spec;
        change(changed);
        return unit_hash(changed) != unit_hash(spec);
    };
    BOOST_TEST(differs([](UnitSpec& s) { s.image = "busybox:2"; }));
    BOOST_TEST(differs([](UnitSpec& s) { s.command.push_back("-v"); }));
    BOOST_TEST(differs([](UnitSpec& s) { s.env["MODE"] = "test"; }));
    BOOST_TEST(differs([](UnitSpec& s) { s.ports[0].host_port = 1; }));
    BOOST_TEST(differs([](UnitSpec& s) { s.ports[1].protocol = "tcp"; }));
    BOOST_TEST(differs([](UnitSpec& s) { s.mounts[0].read_only = true; }));
    BOOST_TEST(differs([](UnitSpec& s) { s.restart = Restart::no; }));
    BOOST_TEST(differs([](UnitSpec& s) { s.health->retries = 1; }));
    BOOST_TEST(differs([](UnitSpec& s) { s.health.reset(); }));
}

// A release that hashes otherwise would make every container of a fleet anew when it is installed, and again when it
// falls back. Whoever changes these numbers has to read DESIGN.md first.
BOOST_AUTO_TEST_CASE(the_hash_is_the_same_in_every_release) {
    BOOST_TEST(unit_hash(parse_unit("name: a\nimage: b\n", "a")) ==
               "43bf9e7862831f17cb0f86acfd8931353f1149e9970c7380c6c7220e12572385");
    BOOST_TEST(unit_hash(parse_unit(web, "web")) == "81940e0d1b6c5e2bedc386743fdfba2e7cd41acb084c34936849782cc1a4d772");
}

BOOST_AUTO_TEST_SUITE_END()
