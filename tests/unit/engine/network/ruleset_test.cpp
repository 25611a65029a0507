#include "network/ruleset.hpp"

#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include "base/error.hpp"

using engine::NetworkDefinition;
using engine::NetworkEndpoint;

namespace {

const NetworkDefinition front{"bridge", "f", "atoll0", "172.30.0.0/16", "172.30.0.1", false};
const NetworkDefinition vault{"vault", "v", "vault0", "10.7.0.0/24", "10.7.0.1", true};

NetworkEndpoint endpoint() {
    NetworkEndpoint one;
    one.container = "c";
    one.address = "172.30.0.2";
    one.ports = {{"", 8080, 80, "tcp"}, {"127.0.0.1", 53, 53, "udp"}};
    return one;
}

/// The rules of one chain, a line each.
std::string rules(const std::string& document, const std::string& chain) {
    std::string text;
    const boost::json::value parsed = boost::json::parse(document);
    for (const auto& command : parsed.at("nftables").as_array()) {
        const auto* add = command.as_object().if_contains("add");
        const auto* rule = add == nullptr ? nullptr : add->as_object().if_contains("rule");
        if (rule != nullptr && rule->at("chain").as_string() == chain.c_str())
            text += boost::json::serialize(rule->at("expr")) + "\n";
    }
    return text;
}

} // namespace

BOOST_AUTO_TEST_SUITE(ruleset)

BOOST_AUTO_TEST_CASE(the_table_is_replaced_as_a_whole) {
    const boost::json::value document = boost::json::parse(engine::network::ruleset("atoll", {front}, {}));
    const auto& commands = document.at("nftables").as_array();
    BOOST_TEST(commands.at(0).at("add").at("table").at("name").as_string() == "atoll");
    BOOST_TEST(commands.at(1).at("delete").at("table").at("name").as_string() == "atoll");
    BOOST_TEST(commands.at(2).at("add").at("table").at("name").as_string() == "atoll");
    BOOST_TEST(engine::network::ruleset("atoll", {front}, {endpoint()}) ==
               engine::network::ruleset("atoll", {front}, {endpoint()}));
}

BOOST_AUTO_TEST_CASE(published_ports_are_translated) {
    const std::string text = rules(engine::network::ruleset("atoll", {front}, {endpoint()}), "published");
    BOOST_TEST(text ==
               R"([{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":8080}},)"
               R"({"dnat":{"family":"ip","addr":"172.30.0.2","port":80}}])"
               "\n"
               R"([{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"daddr"}},"right":"127.0.0.1"}},)"
               R"({"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":53}},)"
               R"({"dnat":{"family":"ip","addr":"172.30.0.2","port":53}}])"
               "\n");
}

BOOST_AUTO_TEST_CASE(an_internal_network_gets_no_way_out) {
    const std::string document = engine::network::ruleset("atoll", {vault}, {});
    BOOST_TEST(rules(document, "forward").find("\"right\":\"vault0\"}},{\"drop\":null}]") != std::string::npos);
    BOOST_TEST(rules(document, "forward").find("dnat") == std::string::npos);
    BOOST_TEST(rules(document, "postrouting").find("\"op\":\"!=\"") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(foreign_drops_are_named) {
    const std::string listing = R"({"nftables": [{"metainfo": {"version": "1"}},
        {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}},
        {"chain": {"family": "inet", "table": "atoll", "name": "forward", "hook": "forward", "policy": "drop"}},
        {"chain": {"family": "ip6", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}},
        {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "hook": "input", "policy": "drop"}},
        {"chain": {"family": "ip", "table": "other", "name": "x"}}]})";
    const std::vector<std::string> found = engine::network::foreign_forward_drops(listing, "atoll");
    BOOST_REQUIRE(found.size() == 1U);
    BOOST_TEST(found[0] == "table ip filter, chain FORWARD: policy drop");
    BOOST_CHECK_THROW(engine::network::foreign_forward_drops("nonsense", "atoll"), base::Error);
}

BOOST_AUTO_TEST_SUITE_END()
