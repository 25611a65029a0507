#include "base/json.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"

namespace {

std::string failure(std::string_view text) {
    try {
        base::parse_json(text, "x.json");
    } catch (const base::Error& error) {
        return error.what();
    }
    return {};
}

} // namespace

BOOST_AUTO_TEST_SUITE(json)

BOOST_AUTO_TEST_CASE(typed_reads) {
    const auto value = base::parse_json(R"({"a":"x","n":5,"b":true,"l":["p","q"],"o":{"k":"v"},"z":null})", "x.json");
    const base::JsonObject object(value, "x.json");
    BOOST_TEST(object.string("a") == "x");
    BOOST_TEST(object.integer("n") == 5);
    BOOST_TEST(object.boolean("b"));
    BOOST_TEST(object.strings("l").size() == 2U);
    BOOST_TEST(object.object("o")->string("k") == "v");
    BOOST_TEST(!object.object("z").has_value());
    BOOST_TEST(object.string("missing", "fallback") == "fallback");
    BOOST_CHECK_THROW(object.string("n"), base::Error);
    BOOST_CHECK_THROW(object.strings("a"), base::Error);
    BOOST_CHECK_THROW(object.required_string("missing"), base::Error);
}

BOOST_AUTO_TEST_CASE(places_and_refusals) {
    BOOST_TEST(failure("{\n  \"a\": tru\n}").starts_with("x.json: line 2 column"));
    BOOST_TEST(failure(R"({"a":{"k":1,"k":2}})") == "x.json: key k appears twice in one object");
    BOOST_TEST(failure(R"({"a":1} x)").starts_with("x.json: line 1 column"));
    BOOST_TEST(!failure(std::string(1000, '[') + std::string(1000, ']')).empty());
    BOOST_TEST(!failure("").empty());
    BOOST_TEST(!failure("1e999").empty());
    BOOST_TEST(failure(R"([{"k":1},{"k":2}])").empty());
}

BOOST_AUTO_TEST_SUITE_END()
