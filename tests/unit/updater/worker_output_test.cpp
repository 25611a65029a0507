#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "worker_job.hpp"

using namespace updater;

BOOST_AUTO_TEST_SUITE(updater_worker_output)

BOOST_AUTO_TEST_CASE(lines_in_pieces) {
    std::vector<std::string> stages;
    WorkerOutput output([&](const base::json::object& line) { stages.emplace_back(line.at("stage").as_string()); });
    const std::string text = "{\"stage\":\"a\"}\n{\"stage\":\"b\"}\n{\"result\":{\"x\":1}}\n";
    for (const char c : text)
        output.feed(std::string_view(&c, 1));
    BOOST_TEST(stages == (std::vector<std::string>{"a", "b"}), boost::test_tools::per_element());
    const WorkerResult result = output.finish({});
    BOOST_TEST(result.ok);
    BOOST_TEST(result.result.at("x").as_int64() == 1);
}

BOOST_AUTO_TEST_CASE(errors) {
    WorkerOutput output([](const base::json::object&) {});
    output.feed("{\"error\":\"no space\"}\n");
    BOOST_TEST(!output.finish({.code = 1}).ok);
    BOOST_TEST(output.finish({.code = 1}).error == "no space");
}

BOOST_AUTO_TEST_CASE(an_end_without_a_word) {
    WorkerOutput output([](const base::json::object&) {});
    output.feed("{\"stage\":\"a\"}\n{\"result\":{}}"); // the last line never ended
    BOOST_TEST(output.finish({.code = 0}).error.find("without a result") != std::string::npos);
    BOOST_TEST(output.finish({.signal = 9}).error.find("signal 9") != std::string::npos);
    // A result and then a crash is no result.
    WorkerOutput crashed([](const base::json::object&) {});
    crashed.feed("{\"result\":{}}\n");
    BOOST_TEST(!crashed.finish({.signal = 11}).ok);
    BOOST_TEST(crashed.finish({.code = 0}).ok);
}

BOOST_AUTO_TEST_CASE(lines_that_are_none) {
    for (const char* bad : {"x\n", "1\n", "[]\n", "{\"error\":1}\n", "{\"result\":1}\n"}) {
        WorkerOutput output([](const base::json::object&) {});
        BOOST_CHECK_THROW(output.feed(bad), base::Error);
    }
    WorkerOutput endless([](const base::json::object&) {});
    BOOST_CHECK_THROW(endless.feed(std::string(WorkerOutput::max_line + 1, 'x')), base::Error);
}

BOOST_AUTO_TEST_SUITE_END()
