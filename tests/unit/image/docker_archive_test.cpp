#include <boost/test/unit_test.hpp>

#include "base/json.hpp"
#include "base/sha256.hpp"
#include "image/archive.hpp"
#include "image/docker_archive.hpp"
#include "test_files.hpp"

namespace json = boost::json;

namespace {

image::ContainerImage sample() {
    image::TarWriter layer;
    layer.add_file("echod", "program", 0755);
    return {.name = "atoll/echo:latest",
            .command = {"/echod", "a \"quoted\" word"},
            .environment = {"A=b"},
            .created = 1795000000,
            .layer = layer.finish()};
}

} // namespace

BOOST_AUTO_TEST_SUITE(docker_archive)

BOOST_AUTO_TEST_CASE(digests_names_and_configuration_agree) {
    const image::ContainerImage input = sample();
    auto files = read_archive(image::make_docker_archive(input));
    const json::value manifest = json::parse(files.at("manifest.json").content);
    const json::object& only = manifest.as_array().at(0).as_object();
    BOOST_TEST(only.at("RepoTags").as_array().at(0).as_string() == "atoll/echo:latest");
    const std::string config_name(only.at("Config").as_string());
    const std::string config_text = files.at(config_name).content;
    BOOST_TEST(config_name == base::sha256_hex(config_text) + ".json");
    const json::value config = json::parse(config_text);
    const std::string layer_name(only.at("Layers").as_array().at(0).as_string());
    BOOST_TEST(files.at(layer_name).content == input.layer);
    BOOST_TEST(config.at("rootfs").at("diff_ids").as_array().at(0).as_string() ==
               "sha256:" + base::sha256_hex(input.layer));
    BOOST_TEST(config.at("config").at("Cmd").as_array().at(1).as_string() == "a \"quoted\" word");
    BOOST_TEST(config.at("config").at("Env").as_array().at(0).as_string().starts_with("PATH="));
    BOOST_TEST(config.at("config").at("Env").as_array().at(1).as_string() == "A=b");
    BOOST_TEST(config.at("created").as_string() == "2026-11-18T11:06:40Z");
    BOOST_TEST(read_archive(files.at(layer_name).content).at("echod").content == "program");
}

BOOST_AUTO_TEST_CASE(the_same_image_gives_the_same_bytes) {
    BOOST_TEST(image::make_docker_archive(sample()) == image::make_docker_archive(sample()));
}

BOOST_AUTO_TEST_CASE(bad_names_are_refused) {
    for (const char* name : {"", "noname", "UPPER:1", "a:", ":b", "a b:1", "a:b:c", "/a:1", "a//b:1", "a:b/c"}) {
        image::ContainerImage input = sample();
        input.name = name;
        BOOST_TEST(message_of([&] { image::make_docker_archive(input); }).find("expected NAME:TAG") !=
                       std::string::npos,
                   name);
    }
}

BOOST_AUTO_TEST_SUITE_END()
