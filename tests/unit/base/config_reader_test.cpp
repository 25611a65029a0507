#include "base/config_reader.hpp"

#include <boost/test/unit_test.hpp>

using base::ConfigDocument;
using base::ConfigError;
using base::ConfigMap;

namespace {

/// The problems that reading `text` with `read` gives.
std::vector<std::string> problems(std::string_view text, const std::function<void(ConfigMap&)>& read) {
    ConfigDocument document = ConfigDocument::from_text(text, "f.yaml");
    ConfigMap root = document.root();
    read(root);
    try {
        document.throw_problems();
    } catch (const ConfigError& error) {
        return error.problems();
    }
    return {};
}

void check_equal(const std::vector<std::string>& actual, const std::vector<std::string>& expected) {
    BOOST_CHECK_EQUAL_COLLECTIONS(actual.begin(), actual.end(), expected.begin(), expected.end());
}

} // namespace

BOOST_AUTO_TEST_SUITE(config_reader)

BOOST_AUTO_TEST_CASE(reads_every_type) {
    const std::string text = "name: web\ncount: 3\non: true\nwait: 90s\nsize: 64KiB\nlist: [a, b]\nmap: {x: 1}\n";
    check_equal(problems(text,
                         [](ConfigMap& root) {
                             BOOST_TEST(root.required_string("name") == "web");
                             BOOST_TEST(root.required_int("count", 0, 10) == 3);
                             BOOST_TEST(root.optional_bool("on").value() == true);
                             BOOST_TEST(root.optional_duration("wait").value().count() == 90'000);
                             BOOST_TEST(root.optional_size("size").value() == 65536U);
                             BOOST_TEST(root.optional_strings("list").size() == 2U);
                             auto map = root.optional_map("map");
                             BOOST_TEST(map->required_int("x", 0, 5) == 1);
                             map->finish();
                             root.finish();
                         }),
                {});
}

BOOST_AUTO_TEST_CASE(reports_all_problems_with_their_places) {
    check_equal(problems("name: [x]\ncount: many\nextra: 1\nwait: 10 s\n",
                         [](ConfigMap& root) {
                             root.required_string("name");
                             root.required_int("count", 0, 10);
                             root.required_string("image");
                             root.optional_duration("wait");
                             root.finish();
                         }),
                {"f.yaml:1:7: name: expected a string", "f.yaml:2:8: count: expected a whole number",
                 "f.yaml:1:1: key image is missing", "f.yaml:4:7: wait: expected a duration such as 10s, 5m or 2h",
                 "f.yaml:3:1: extra: unknown key"});
}

BOOST_AUTO_TEST_CASE(names_nested_places) {
    check_equal(problems("health:\n  command: [a, {b: c}]\n  colour: red\n",
                         [](ConfigMap& root) {
                             auto health = root.optional_map("health");
                             health->required_strings("command");
                             health->finish();
                             root.finish();
                         }),
                {"f.yaml:2:16: health.command[1]: expected a string", "f.yaml:3:3: health.colour: unknown key"});
}

BOOST_AUTO_TEST_CASE(refuses_what_is_no_utf8) {
    for (const char* text : {"a: \xff\n", "a: \"\\_\"\n", "a: \"\\N\"\n", "a: \xed\xa0\x80\n"})
        check_equal(problems(text, [](ConfigMap& root) { root.optional_string("a"); }), {"f.yaml:1:4: not UTF-8 text"});
    check_equal(problems("a: \xc3\xa4\n", [](ConfigMap& root) { root.optional_string("a"); }), {});
}

BOOST_AUTO_TEST_CASE(refuses_duplicate_keys) {
    check_equal(problems("a: 1\na: 2\n", [](ConfigMap& root) { root.optional_int("a", 0, 9); }),
                {"f.yaml:2:1: key a appears twice"});
}

BOOST_AUTO_TEST_CASE(refuses_aliases_so_that_nothing_expands) {
    check_equal(problems("a: &x [1]\nb: *x\n", [](ConfigMap&) {}), {"f.yaml:1:4: anchors are not supported"});
}

BOOST_AUTO_TEST_CASE(reports_broken_yaml_once) {
    const auto found = problems("a: [1, 2\nb: 3\n", [](ConfigMap& root) {
        root.required_string("needed");
        root.finish();
    });
    BOOST_TEST(found.size() == 1U);
    BOOST_TEST(found.at(0).starts_with("f.yaml:2:"));
}

BOOST_AUTO_TEST_CASE(bounds_depth_and_size) {
    BOOST_TEST(problems(std::string(100'000, '['), [](ConfigMap&) {}).size() == 1U);
    BOOST_TEST(problems(std::string(2'000'000, ' '), [](ConfigMap&) {}).size() == 1U);
    std::string many = "list:\n";
    for (int i = 0; i < 20'000; ++i)
        many += " - x\n";
    BOOST_TEST(problems(many, [](ConfigMap&) {}).at(0).find("more than 10000 values") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(empty_document_is_an_empty_map) {
    check_equal(problems("", [](ConfigMap& root) { root.finish(); }), {});
    check_equal(problems("# nothing\n", [](ConfigMap& root) { root.finish(); }), {});
}

BOOST_AUTO_TEST_CASE(a_document_that_is_no_map_is_a_problem) {
    check_equal(problems("- a\n", [](ConfigMap& root) { root.finish(); }), {"f.yaml:1:1: expected a map"});
}

BOOST_AUTO_TEST_CASE(sizes_and_durations_do_not_overflow) {
    const auto found =
        problems("a: 99999999999999999999\nb: 9007199254740993TiB\nc: 9999999999999999d\n", [](ConfigMap& root) {
            root.optional_size("a");
            root.optional_size("b");
            root.optional_duration("c");
        });
    BOOST_TEST(found.size() == 3U);
}

BOOST_AUTO_TEST_SUITE_END()
