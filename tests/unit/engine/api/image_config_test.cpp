#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "image_builder.hpp"
#include "images/image_config.hpp"
#include "images/layer.hpp"

using namespace engine;

BOOST_AUTO_TEST_SUITE(image_configuration)

BOOST_AUTO_TEST_CASE(everything_a_container_takes_over_is_read) {
    const std::string text =
        test::image_config({"layer"}, R"("config":{"Entrypoint":["/init"],"Cmd":["a","b"],"Env":["A=1"],
        "WorkingDir":"/w","User":"7:8","ExposedPorts":{"80/tcp":{}},"Volumes":{"/data":{}},"Labels":{"k":"v"},
        "StopSignal":"SIGINT","Healthcheck":{"Test":["CMD-SHELL","true"],"Interval":2000000000,"Retries":5}},
        "author":"me","variant":"v2",)");
    const ImageRecord record = parse_image_config(text);
    BOOST_TEST(record.info.id == "sha256:" + base::sha256_hex(text));
    const ImageConfig& config = record.info.config;
    BOOST_TEST(config.entrypoint == std::vector<std::string>{"/init"}, boost::test_tools::per_element());
    BOOST_TEST(config.command.size() == 2U);
    BOOST_TEST(config.env.at(0) == "A=1");
    BOOST_TEST(config.working_directory == "/w");
    BOOST_TEST(config.user == "7:8");
    BOOST_TEST(config.exposed_ports.at(0) == "80/tcp");
    BOOST_TEST(config.volumes.at(0) == "/data");
    BOOST_TEST(config.labels.at("k") == "v");
    BOOST_TEST(config.stop_signal == "SIGINT");
    BOOST_TEST((config.health.kind == HealthConfig::Kind::shell));
    BOOST_TEST(config.health.interval.count() == 2000);
    BOOST_TEST(config.health.retries == 5U);
    BOOST_TEST(record.author == "me");
    BOOST_TEST(record.created == "2026-01-02T03:04:05Z");
    BOOST_TEST(record.diff_ids.at(0) == "sha256:" + base::sha256_hex("layer"));
}

BOOST_AUTO_TEST_CASE(nulls_are_as_good_as_nothing) {
    const ImageRecord record = parse_image_config(
        test::image_config({}, R"("config":{"Entrypoint":null,"Cmd":null,"Env":null,"Volumes":null,"Labels":null},)"));
    BOOST_TEST(record.info.config.command.empty());
    BOOST_TEST(record.chain_ids.empty());
}

BOOST_AUTO_TEST_CASE(chain_ids_follow_the_specification) {
    const std::string a = "sha256:" + std::string(64, 'a');
    const std::string b = "sha256:" + std::string(64, 'b');
    const std::vector<std::string> chain = chain_ids_of({a, b});
    BOOST_TEST(chain.at(0) == a);
    BOOST_TEST(chain.at(1) == "sha256:" + base::sha256_hex(a + " " + b));
}

BOOST_AUTO_TEST_CASE(what_is_wrong_is_refused) {
    for (const char* text : {"", "[]", "{}", R"({"rootfs":{"type":"other","diff_ids":[]}})",
                             R"({"rootfs":{"type":"layers","diff_ids":["sha256:../../x"]}})",
                             R"({"os":"windows","rootfs":{"diff_ids":[]}})", R"({"rootfs":{"diff_ids":[1]}})",
                             R"({"config":{"Cmd":"x"},"rootfs":{"diff_ids":[]}})",
                             R"({"config":{"Healthcheck":{"Test":["X"]}},"rootfs":{"diff_ids":[]}})"})
        BOOST_CHECK_THROW(parse_image_config(text), base::Error);
    BOOST_CHECK_THROW(parse_image_config(test::image_config(std::vector<std::string>(128, "layer"))), base::Error);
    BOOST_CHECK_NO_THROW(parse_image_config(test::image_config(std::vector<std::string>(127, "layer"))));
}

BOOST_AUTO_TEST_CASE(paths_of_archives_are_cleaned) {
    BOOST_TEST(clean_path("./a//b/./c/") == "a/b/c");
    BOOST_TEST(clean_path("/etc/passwd") == "etc/passwd");
    BOOST_TEST(clean_path("..a/b..") == "..a/b..");
    for (const std::string& text : {std::string(), std::string("/"), std::string("."), std::string(".."),
                                    std::string("a/.."), std::string("../a"), std::string(5000, 'a')})
        BOOST_CHECK_THROW(clean_path(text), base::Error);
}

BOOST_AUTO_TEST_SUITE_END()
