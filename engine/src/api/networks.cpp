// Networks: the default bridge, "host", "none", and bridges of users' own.
#include "api/filters.hpp"
#include "api/json_answer.hpp"
#include "api/routes.hpp"
#include "base/sha256.hpp"

namespace engine::api {
namespace {

struct ListedNetwork {
    NetworkDefinition definition;
    std::string driver;
    bool predefined = false;
};

std::vector<ListedNetwork> all_networks(const Context& context) {
    std::vector<ListedNetwork> networks;
    for (NetworkDefinition& definition : context.networks.list()) {
        const bool predefined = definition.name == "bridge";
        networks.push_back({std::move(definition), "bridge", predefined});
    }
    // Not the network library's: they have nothing of their own.
    for (const char* name : {"host", "none"}) {
        NetworkDefinition definition{.name = name, .id = {}, .device = {}, .subnet = {}, .gateway = {}};
        definition.id = base::sha256_hex(std::string("atoll network ") + name);
        networks.push_back({std::move(definition), std::string_view(name) == "host" ? "host" : "null", true});
    }
    return networks;
}

json::object network_json(const Context& context, const ListedNetwork& network, bool with_containers) {
    const NetworkDefinition& definition = network.definition;
    json::array pools;
    if (!definition.subnet.empty())
        pools.push_back(json::object{{"Subnet", definition.subnet}, {"Gateway", definition.gateway}});
    json::object containers;
    if (with_containers)
        for (const NetworkEndpoint& endpoint : context.networks.endpoints()) {
            if (endpoint.network != definition.name)
                continue;
            const auto info = context.engine.find(endpoint.container);
            containers[endpoint.container] =
                json::object{{"Name", info ? info->name : ""},
                             {"EndpointID", endpoint.endpoint_id},
                             {"MacAddress", endpoint.mac},
                             {"IPv4Address", fmt::format("{}/{}", endpoint.address, endpoint.prefix_length)},
                             {"IPv6Address", ""}};
        }
    return json::object{
        {"Name", definition.name},
        {"Id", definition.id},
        {"Created", "0001-01-01T00:00:00Z"},
        {"Scope", "local"},
        {"Driver", network.driver},
        {"EnableIPv6", false},
        {"IPAM", json::object{{"Driver", "default"}, {"Options", nullptr}, {"Config", std::move(pools)}}},
        {"Internal", definition.internal},
        {"Attachable", false},
        {"Ingress", false},
        {"ConfigFrom", json::object{{"Network", ""}}},
        {"ConfigOnly", false},
        {"Containers", std::move(containers)},
        {"Options", json::object()},
        {"Labels", json::object()}};
}

ListedNetwork require_network(const Call& call) {
    const std::string& wanted = call.parameter();
    std::vector<ListedNetwork> by_prefix;
    for (ListedNetwork& network : all_networks(call.context)) {
        if (network.definition.name == wanted || network.definition.id == wanted)
            return network;
        if (network.definition.id.starts_with(wanted))
            by_prefix.push_back(std::move(network));
    }
    if (by_prefix.size() > 1)
        throw HttpError(400, fmt::format("network {} is ambiguous ({} matches found based on ID prefix)", wanted,
                                         by_prefix.size()));
    if (by_prefix.empty())
        throw HttpError(404, fmt::format("network {} not found", wanted));
    return by_prefix.front();
}

void list(Call& call) {
    const Filters filters = Filters::parse(call.request.query_value("filters"));
    filters.expect({"dangling", "driver", "id", "label", "name", "scope", "type"});
    json::array result;
    for (const ListedNetwork& network : all_networks(call.context))
        if (filters.allows_part("name", network.definition.name) &&
            filters.allows_prefix("id", network.definition.id) && filters.allows("driver", network.driver) &&
            filters.allows("scope", "local") && filters.allows("type", network.predefined ? "builtin" : "custom") &&
            filters.allows_labels({}))
            result.push_back(network_json(call.context, network, false));
    send_json(call, 200, result);
}

void inspect(Call& call) {
    send_json(call, 200, network_json(call.context, require_network(call), true));
}

NetworkDefinition read_definition(const json::value& body) {
    return checked_body([&] {
        const base::JsonObject object(body, "request body");
        NetworkDefinition definition{
            .name = object.required_string("Name"), .id = {}, .device = {}, .subnet = {}, .gateway = {}};
        const std::string driver = object.string("Driver", "bridge");
        if (!driver.empty() && driver != "bridge" && driver != "default")
            throw HttpError(404,
                            fmt::format("could not find plugin {} in v1 plugin registry: plugin not found", driver));
        if (object.boolean("EnableIPv6"))
            throw HttpError(400, "EnableIPv6 is not supported");
        definition.internal = object.boolean("Internal");
        const auto ipam = object.object("IPAM");
        const json::array pools = ipam ? ipam->array("Config") : json::array();
        if (pools.size() > 1)
            throw HttpError(400, "IPAM.Config: more than one subnet is not supported");
        for (const json::value& item : pools) {
            const base::JsonObject pool(item, "IPAM.Config");
            definition.subnet = pool.string("Subnet");
            definition.gateway = pool.string("Gateway");
        }
        return definition;
    });
}

void create(Call& call) {
    NetworkDefinition definition = read_definition(read_json(call));
    if (definition.name == "host" || definition.name == "none" || call.context.networks.find(definition.name))
        throw HttpError(409, fmt::format("network with name {} already exists", definition.name));
    const NetworkDefinition made = checked_body([&] { return call.context.networks.create(std::move(definition)); });
    send_json(call, 201, json::object{{"Id", made.id}, {"Warning", ""}});
}

void remove(Call& call) {
    const ListedNetwork network = require_network(call);
    const std::string& name = network.definition.name;
    if (network.predefined)
        throw HttpError(403, fmt::format("{} is a pre-defined network and cannot be removed", name));
    for (const NetworkEndpoint& endpoint : call.context.networks.endpoints())
        if (endpoint.network == name)
            throw HttpError(403, fmt::format("error while removing network: network {} id {} has active endpoints",
                                             name, network.definition.id));
    call.context.networks.remove(name);
    send_nothing(call);
}

void prune(Call& call) {
    const Filters filters = Filters::parse(call.request.query_value("filters"));
    filters.expect({"label", "until"});
    json::array deleted;
    for (const ListedNetwork& network : all_networks(call.context)) {
        const std::string& name = network.definition.name;
        const auto endpoints = call.context.networks.endpoints();
        const bool used = std::any_of(endpoints.begin(), endpoints.end(),
                                      [&](const NetworkEndpoint& e) { return e.network == name; });
        const auto containers = call.context.engine.list();
        const bool wanted = std::any_of(containers.begin(), containers.end(),
                                        [&](const ContainerInfo& info) { return info.config->network_mode == name; });
        if (network.predefined || used || wanted || !filters.allows_labels({}))
            continue;
        call.context.networks.remove(name);
        deleted.emplace_back(name);
    }
    send_json(call, 200, json::object{{"NetworksDeleted", std::move(deleted)}});
}

void change_endpoints(Call&) {
    throw HttpError(501, "connecting a container that exists to a network is not supported: create it on the network");
}

} // namespace

void add_network_routes(Router& router) {
    router.add("GET", "networks", list);
    router.add("POST", "networks/create", create);
    router.add("POST", "networks/prune", prune);
    router.add("GET", "networks/{}", inspect);
    router.add("DELETE", "networks/{}", remove);
    router.add("POST", "networks/{}/connect", change_endpoints);
    router.add("POST", "networks/{}/disconnect", change_endpoints);
}

} // namespace engine::api
