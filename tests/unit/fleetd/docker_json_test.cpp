#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "ctl/table.hpp"
#include "daemon/docker_json.hpp"

using namespace fleet;

BOOST_AUTO_TEST_SUITE(docker_json)

BOOST_AUTO_TEST_CASE(a_container_as_docker_describes_it) {
    const ObservedContainer container = parse_container(
        R"({"Id":"abc","Name":"/fleet-web-2","RestartCount":3,"Config":{"Labels":{"atoll.fleet.unit":"web",)"
        R"("atoll.fleet.replica":"2","atoll.fleet.hash":"h","atoll.fleet.launch":"4","atoll.fleet.store":"s"}},)"
        R"("State":{"Status":"exited","ExitCode":137,"Error":"oom","StartedAt":"2026-01-01T00:00:00Z",)"
        R"("FinishedAt":"0001-01-01T00:00:00Z","Health":{"Status":"unhealthy"}}})");
    BOOST_TEST(container.name == "fleet-web-2");
    BOOST_TEST(container.unit == "web");
    BOOST_TEST(container.replica == 2U);
    BOOST_TEST(container.launch == 4);
    BOOST_TEST(container.state == "exited");
    BOOST_TEST(container.exit_code == 137);
    BOOST_TEST(container.health == "unhealthy");
    BOOST_TEST(container.started == "2026-01-01T00:00:00Z");
    BOOST_TEST(container.finished.empty());
    BOOST_TEST(container.restarts == 3U);
}

BOOST_AUTO_TEST_CASE(labels_that_are_not_ours_name_no_unit) {
    for (const char* labels : {"null", "{}", R"({"atoll.fleet.unit":"web"})",
                               R"({"atoll.fleet.unit":"web","atoll.fleet.replica":"-1","atoll.fleet.launch":"1"})",
                               R"({"atoll.fleet.unit":"web","atoll.fleet.replica":"1x","atoll.fleet.launch":"1"})"}) {
        const auto container = parse_container(
            fmt::format(R"({{"Id":"a","Config":{{"Labels":{}}},"State":{{"Status":"running"}}}})", labels));
        BOOST_TEST(container.unit.empty(), labels);
    }
}

BOOST_AUTO_TEST_CASE(answers_that_are_not_dockers) {
    BOOST_CHECK_THROW(parse_container("{}"), base::Error);
    BOOST_CHECK_THROW(parse_container(R"({"Id":"a"})"), base::Error);
    BOOST_CHECK_THROW(parse_container_ids("{}"), base::Error);
    BOOST_CHECK_THROW(parse_container_ids("[{}]"), base::Error);
    BOOST_CHECK_THROW(parse_version("x"), base::Error);
    BOOST_TEST(error_message("<html>") == "<html>");
    BOOST_TEST(error_message(R"({"message":"no"})") == "no");
}

BOOST_AUTO_TEST_CASE(a_pull_that_failed_has_status_200) {
    BOOST_TEST(pull_error("{\"status\":\"a\"}\r\n\r\n{\"error\":\"no\"}") == "no");
    BOOST_TEST(pull_error("{\"status\":\"a\"}\n") == "");
    BOOST_TEST(pull_error("") == "");
}

BOOST_AUTO_TEST_CASE(log_frames) {
    using namespace std::string_literals;
    BOOST_TEST(demultiplex("\1\0\0\0\0\0\0\2ab\2\0\0\0\0\0\0\1c"s) == "abc");
    BOOST_TEST(demultiplex("\1\0\0\0\0\0\0\7ab"s) == "ab"); // broken off
    BOOST_TEST(demultiplex("plain text"s) == "plain text");
    BOOST_TEST(demultiplex("\1\0\0"s) == "\1\0\0"s);
    BOOST_TEST(demultiplex("") == "");
}

BOOST_AUTO_TEST_CASE(tables_for_people) {
    BOOST_TEST(format_table({{"A", "B"}, {"long", "x"}, {"s", ""}}) == "A     B\nlong  x\ns\n");
    BOOST_TEST(printable("a\x1b[31m\nb\x7f") == "a?[31m b?");
    BOOST_TEST(printable("\xc2\x9b"
                         "31m \xc2\xa0 \xc3\xa4") == "?31m \xc2\xa0 \xc3\xa4");
}

BOOST_AUTO_TEST_SUITE_END()
