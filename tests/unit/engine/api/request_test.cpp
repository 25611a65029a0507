// Router, filters, times, streams: the small pieces of a request.
#include <boost/test/unit_test.hpp>

#include "api/cgroup_stats.hpp"
#include "api/filters.hpp"
#include "api/raw_stream.hpp"
#include "api/router.hpp"
#include "api/time_text.hpp"

using namespace engine;
using namespace engine::api;

namespace {

template <typename F>
unsigned status_of(F&& action) {
    try {
        action();
    } catch (const HttpError& error) {
        return error.status();
    }
    return 0;
}

} // namespace

BOOST_AUTO_TEST_SUITE(router)

BOOST_AUTO_TEST_CASE(patterns_find_their_parameters) {
    Router router;
    router.add("GET", "containers/json", [](Call&) {});
    router.add("GET", "containers/{}/json", [](Call&) {});
    router.add("GET", "images/{*}/json", [](Call&) {});
    router.add("DELETE", "images/{*}", [](Call&) {});
    BOOST_TEST(router.find("GET", "/containers/json").parameters.empty());
    BOOST_TEST(router.find("GET", "/containers/web/json").parameters.at(0) == "web");
    BOOST_TEST(router.find("GET", "/images/ghcr.io/a/b:1/json").parameters.at(0) == "ghcr.io/a/b:1");
    BOOST_TEST(router.find("GET", "/images/json/json").parameters.at(0) == "json");
    BOOST_TEST(router.find("DELETE", "/images/a/b").parameters.at(0) == "a/b");
    BOOST_TEST(router.find("GET", "/containers/a/b/json").route == nullptr);
    BOOST_TEST(router.find("POST", "/containers/json").path_known);
    BOOST_TEST(router.find("POST", "/containers/json").route == nullptr);
    BOOST_TEST(!router.find("GET", "/nothing").path_known);
}

BOOST_AUTO_TEST_CASE(versions_are_taken_off_and_checked) {
    BOOST_TEST(split_version("/v1.41/info").minor == 41U);
    BOOST_TEST(split_version("/v1.41/info").path == "/info");
    BOOST_TEST(split_version("/info").minor == newest_minor);
    BOOST_TEST(split_version("/v1.45").path.empty());
    BOOST_TEST(split_version("/v1.x/info").path == "/v1.x/info");
    BOOST_TEST(status_of([] { split_version("/v1.46/info"); }) == 400U);
    BOOST_TEST(status_of([] { split_version("/v1.23/info"); }) == 400U);
}

BOOST_AUTO_TEST_SUITE_END()
BOOST_AUTO_TEST_SUITE(filters)

BOOST_AUTO_TEST_CASE(both_forms_are_read) {
    for (const char* text : {R"({"label":["a=b","c"],"status":["running"]})",
                             R"({"label":{"a=b":true,"c":true,"d":false},"status":{"running":true}})"}) {
        const Filters filters = Filters::parse(text);
        BOOST_TEST(filters.values("label").size() == 2U);
        BOOST_TEST(filters.allows("status", "running"));
        BOOST_TEST(!filters.allows("status", "exited"));
        BOOST_TEST(filters.allows("name", "anything"));
        BOOST_TEST(filters.allows_labels({{"a", "b"}, {"c", "x"}}));
        BOOST_TEST(!filters.allows_labels({{"a", "other"}, {"c", "x"}}));
        BOOST_TEST(!filters.allows_labels({{"a", "b"}}));
    }
    BOOST_TEST(!Filters::parse("").has("label"));
}

BOOST_AUTO_TEST_CASE(names_by_part_and_ids_by_prefix) {
    const Filters filters = Filters::parse(R"({"name":["we"],"id":["12"]})");
    BOOST_TEST(filters.allows_part("name", "/web"));
    BOOST_TEST(!filters.allows_part("name", "/db"));
    BOOST_TEST(filters.allows_prefix("id", "1234"));
    BOOST_TEST(!filters.allows_prefix("id", "0123"));
}

BOOST_AUTO_TEST_CASE(wrong_ones_are_bad_requests) {
    for (const char* text : {"x", "[]", R"({"a":1})", R"({"a":[1]})", R"({"a":{"b":1}})"})
        BOOST_TEST(status_of([&] { Filters::parse(text); }) == 400U, text);
    const Filters filters = Filters::parse(R"({"a":["b"],"dangling":["maybe"]})");
    BOOST_TEST(status_of([&] { filters.expect({"a"}); }) == 400U);
    BOOST_TEST(status_of([&] { filters.expect({"a", "dangling"}); }) == 0U);
    BOOST_TEST(status_of([&] { filters.flag("dangling", false); }) == 400U);
}

BOOST_AUTO_TEST_SUITE_END()
BOOST_AUTO_TEST_SUITE(times)

BOOST_AUTO_TEST_CASE(there_and_back) {
    for (const char* text : {"2026-11-21T11:30:00.123456789Z", "1999-12-31T23:59:59.000000000Z",
                             "1969-12-31T23:59:59.500000000Z", "2024-02-29T00:00:00.000000001Z"}) {
        const auto time = parse_rfc3339(text);
        BOOST_REQUIRE(time);
        BOOST_TEST(rfc3339(*time) == text);
    }
    BOOST_TEST(rfc3339(*parse_rfc3339("2026-01-01T01:00:00+01:30")) == "2025-12-31T23:30:00.000000000Z");
    BOOST_TEST(rfc3339(std::optional<TimePoint>()) == "0001-01-01T00:00:00Z");
}

BOOST_AUTO_TEST_CASE(what_is_no_time_is_refused) {
    for (const char* text :
         {"", "2026", "2026-13-01T00:00:00Z", "2025-02-29T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00",
          "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00Zx", "9999-01-01T00:00:00Z", "2026-01-01T00:00:00+99:00"})
        BOOST_TEST(!parse_rfc3339(text), text);
}

BOOST_AUTO_TEST_CASE(since_and_until_take_seconds_too) {
    BOOST_TEST(!parse_timestamp("", "since"));
    BOOST_TEST(!parse_timestamp("0", "since"));
    BOOST_TEST(unix_nanoseconds(*parse_timestamp("1700000000.5", "since")) == 1'700'000'000'500'000'000);
    BOOST_TEST(unix_nanoseconds(*parse_timestamp("1700000000.000000001", "since")) == 1'700'000'000'000'000'001);
    for (const char* text : {"yesterday", "1e9", "99999999999999", "1700000000.", "-"})
        BOOST_TEST(status_of([&] { parse_timestamp(text, "since"); }) == 400U, text);
}

BOOST_AUTO_TEST_CASE(the_status_column_reads_as_dockers) {
    const TimePoint now = std::chrono::system_clock::now();
    ContainerState state;
    BOOST_TEST(status_text(state, now) == "Created");
    state.status = Status::running;
    state.started = now - std::chrono::seconds(90);
    BOOST_TEST(status_text(state, now) == "Up About a minute");
    state.health = Health::starting;
    BOOST_TEST(status_text(state, now) == "Up About a minute (health: starting)");
    state.health = Health::unhealthy;
    BOOST_TEST(status_text(state, now) == "Up About a minute (unhealthy)");
    state.status = Status::exited;
    state.exit_code = 137;
    state.finished = now - std::chrono::hours(5);
    BOOST_TEST(status_text(state, now) == "Exited (137) 5 hours ago");
}

BOOST_AUTO_TEST_SUITE_END()
BOOST_AUTO_TEST_SUITE(streams)

BOOST_AUTO_TEST_CASE(frames_carry_stream_and_length) {
    BOOST_TEST(stream_frame(StdStream::error, "abc", false) == std::string("\x02\0\0\0\0\0\0\x03"
                                                                           "abc",
                                                                           11));
    const std::string large = stream_frame(StdStream::out, std::string(0x010203, 'x'), false);
    BOOST_TEST(large.substr(0, 8) == std::string("\x01\0\0\0\0\x01\x02\x03", 8));
    BOOST_TEST(stream_frame(StdStream::out, "abc", true) == "abc");
}

BOOST_AUTO_TEST_CASE(detach_keys_are_found_across_reads) {
    DetachFilter filter(parse_detach_keys(""));
    BOOST_TEST(filter.pass("ab\x10") == "ab");
    BOOST_TEST(!filter.detached());
    BOOST_TEST(filter.pass("c") == "\x10"
                                   "c");
    BOOST_TEST(filter.pass("\x10\x10\x11rest") == "\x10");
    BOOST_TEST(filter.detached());
    DetachFilter none(Detach{});
    BOOST_TEST(none.pass("\x10\x11") == "\x10\x11");
    BOOST_TEST(!none.detached());
}

BOOST_AUTO_TEST_CASE(detach_keys_are_read) {
    BOOST_TEST(parse_detach_keys("ctrl-a,b,ctrl-]").keys == "\x01"
                                                            "b\x1d");
    for (const char* text : {"ctrl-", "ctrl-A", "ab", "a,,b", ","})
        BOOST_TEST(status_of([&] { parse_detach_keys(text); }) == 400U, text);
}

BOOST_AUTO_TEST_SUITE_END()
BOOST_AUTO_TEST_SUITE(counters)

BOOST_AUTO_TEST_CASE(kernel_files_are_read) {
    const auto cpu = parse_flat_keyed("usage_usec 12\nuser_usec 7\n\nodd\nmax max\n");
    BOOST_TEST(cpu.at("usage_usec") == 12U);
    BOOST_TEST(cpu.at("max") == 0U);
    BOOST_TEST(!cpu.contains("odd"));
    const auto io = parse_io_stat("8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\nbad line\n");
    BOOST_REQUIRE(io.size() == 1U);
    BOOST_TEST(io[0].minor == 16U);
    BOOST_TEST(io[0].write_bytes == 2U);
    const auto net = parse_net_dev("Inter-| Receive | Transmit\n face |bytes\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n"
                                   "  eth0:100 2 3 4 0 0 0 0 200 6 7 8 0 0 0 0\n");
    BOOST_REQUIRE(net.size() == 1U);
    BOOST_TEST(net.at("eth0").rx_bytes == 100U);
    BOOST_TEST(net.at("eth0").tx_dropped == 8U);
}

BOOST_AUTO_TEST_SUITE_END()
