#include "network/ruleset.hpp"

#include "base/json.hpp"
#include "network/ipv4.hpp"

namespace engine::network {

namespace json = boost::json;

namespace {

json::value match(json::value left, json::value right, const char* operation = "==") {
    return {{"match", {{"op", operation}, {"left", std::move(left)}, {"right", std::move(right)}}}};
}
json::value meta(const char* key) {
    return {{"meta", {{"key", key}}}};
}
json::value payload(const char* protocol, const char* field) {
    return {{"payload", {{"protocol", protocol}, {"field", field}}}};
}
json::value prefix(const Subnet& subnet) {
    return {{"prefix", {{"addr", to_string(subnet.base)}, {"len", subnet.prefix_length}}}};
}
json::value loopback() {
    return {{"prefix", {{"addr", "127.0.0.0"}, {"len", 8}}}};
}
json::value verdict(const char* name) {
    return json::object{{name, nullptr}};
}
json::value jump(const char* chain) {
    return {{"jump", {{"target", chain}}}};
}
json::value local_destination() {
    return match({{"fib", {{"result", "type"}, {"flags", json::array{"daddr"}}}}}, "local");
}
json::value translated() {
    return match({{"ct", {{"key", "status"}}}}, "dnat", "in");
}

class Builder {
public:
    explicit Builder(const std::string& table) : table_(table) {
        // Adding first makes the deletion of a table that does not exist no error.
        command("add", "table", json::object{});
        command("delete", "table", json::object{});
        command("add", "table", json::object{});
    }
    void chain(const char* name) { command("add", "chain", {{"name", name}}); }
    void base_chain(const char* name, const char* type, const char* hook, int priority) {
        command("add", "chain",
                {{"name", name}, {"type", type}, {"hook", hook}, {"prio", priority}, {"policy", "accept"}});
    }
    void rule(const char* chain, json::array expressions) {
        command("add", "rule", {{"chain", chain}, {"expr", std::move(expressions)}});
    }
    std::string text() const { return json::serialize(json::object{{"nftables", commands_}}); }

private:
    void command(const char* verb, const char* kind, json::object content) {
        content["family"] = "inet";
        content[std::string_view(kind) == "table" ? "name" : "table"] = table_;
        commands_.push_back(json::object{{verb, json::object{{kind, std::move(content)}}}});
    }
    std::string table_;
    json::array commands_;
};

void add_published(Builder& builder, const NetworkEndpoint& endpoint) {
    for (const PublishedPort& port : endpoint.ports) {
        json::array expressions;
        if (!port.host_address.empty() && port.host_address != "0.0.0.0")
            expressions.push_back(match(payload("ip", "daddr"), json::value(port.host_address)));
        expressions.push_back(match(payload(port.protocol.c_str(), "dport"), port.host_port));
        expressions.push_back(json::object{
            {"dnat", json::object{{"family", "ip"}, {"addr", endpoint.address}, {"port", port.container_port}}}});
        builder.rule("published", std::move(expressions));
    }
}

void add_forwarding(Builder& builder, const NetworkDefinition& network) {
    const json::value device(network.device);
    builder.rule("forward", {match(meta("iifname"), device), match(meta("oifname"), device), verdict("accept")});
    if (network.internal) {
        builder.rule("forward", {match(meta("iifname"), device), verdict("drop")});
        builder.rule("forward", {match(meta("oifname"), device), verdict("drop")});
        return;
    }
    // From outside only to what is published: not to a container's address by a route to it.
    builder.rule("forward", {match(meta("oifname"), device), translated(), verdict("accept")});
    builder.rule("forward", {match(meta("oifname"), device), verdict("drop")});
}

void add_masquerade(Builder& builder, const NetworkDefinition& network) {
    const json::value device(network.device);
    const json::value subnet = prefix(parse_subnet(network.subnet));
    if (!network.internal)
        builder.rule("postrouting", {match(payload("ip", "saddr"), subnet), match(meta("oifname"), device, "!="),
                                     verdict("masquerade")});
    // A container that uses a published port of its own network: the answer has to come back through us.
    builder.rule("postrouting", {match(payload("ip", "saddr"), subnet), match(meta("oifname"), device), translated(),
                                 verdict("masquerade")});
    // The host's 127.0.0.1 to a published port: the container could not answer that address.
    builder.rule("postrouting",
                 {match(payload("ip", "saddr"), loopback()), match(meta("oifname"), device), verdict("masquerade")});
}

} // namespace

std::string ruleset(const std::string& table, const std::vector<NetworkDefinition>& networks,
                    const std::vector<NetworkEndpoint>& endpoints) {
    Builder builder(table);
    builder.base_chain("unforged", "filter", "prerouting", -300); // before connection tracking and translation
    builder.base_chain("prerouting", "nat", "prerouting", -100);
    builder.base_chain("output", "nat", "output", -100);
    builder.base_chain("postrouting", "nat", "postrouting", 100);
    builder.base_chain("forward", "filter", "forward", 0);
    builder.chain("published");

    // Published ports make the bridges accept 127.0.0.0/8 (route_localnet), and translation comes before the check for
    // such addresses from outside: neither a container nor a neighbour may reach what listens on the loopback.
    builder.rule("unforged",
                 {match(meta("iifname"), "lo", "!="), match(payload("ip", "daddr"), loopback()), verdict("drop")});
    builder.rule("unforged",
                 {match(meta("iifname"), "lo", "!="), match(payload("ip", "saddr"), loopback()), verdict("drop")});
    builder.rule("prerouting", {local_destination(), jump("published")});
    builder.rule("output", {local_destination(), jump("published")});
    builder.rule("forward",
                 {match({{"ct", {{"key", "state"}}}}, json::array{"established", "related"}, "in"), verdict("accept")});
    for (const NetworkDefinition& network : networks) {
        add_forwarding(builder, network);
        add_masquerade(builder, network);
    }
    for (const NetworkEndpoint& endpoint : endpoints)
        add_published(builder, endpoint);
    return builder.text();
}

std::string removal(const std::string& table) {
    const json::object content{{"family", "inet"}, {"name", table}};
    return json::serialize(
        json::object{{"nftables", json::array{json::object{{"add", json::object{{"table", content}}}},
                                              json::object{{"delete", json::object{{"table", content}}}}}}});
}

std::vector<std::string> foreign_forward_drops(const std::string& listing, const std::string& own_table) {
    std::vector<std::string> found;
    const json::value document = base::parse_json(listing, "nft -j list ruleset");
    const base::JsonObject top(document, "nft -j list ruleset");
    for (const json::value& entry : top.array("nftables")) {
        const base::JsonObject object(entry, "nft -j list ruleset");
        const auto chain = object.object("chain");
        if (!chain || chain->string("hook") != "forward" || chain->string("policy") != "drop")
            continue;
        const std::string family = chain->string("family");
        if ((family != "ip" && family != "inet") || chain->string("table") == own_table)
            continue;
        found.push_back("table " + family + " " + chain->string("table") + ", chain " + chain->string("name") +
                        ": policy drop");
    }
    return found;
}

} // namespace engine::network
