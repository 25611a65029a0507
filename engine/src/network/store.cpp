#include "network/store.hpp"

#include "base/error.hpp"
#include "base/json.hpp"

namespace engine::network {

namespace json = boost::json;

namespace {

constexpr int format = 1;

json::value decode(std::string_view text, const std::string& name) {
    json::value document = base::parse_json(text, name);
    if (base::JsonObject(document, name).integer("format") != format)
        throw base::Error(name + ": is of another format than " + std::to_string(format));
    return document;
}

std::uint16_t port_number(const base::JsonObject& object, std::string_view key) {
    const std::int64_t number = object.integer(key);
    if (number < 1 || number > 65535)
        throw base::Error(object.name() + ": " + std::string(key) + ": not a port");
    return static_cast<std::uint16_t>(number);
}

} // namespace

std::string encode_definitions(const std::vector<NetworkDefinition>& networks) {
    json::array list;
    for (const NetworkDefinition& network : networks)
        list.push_back(json::object{{"name", network.name},
                                    {"id", network.id},
                                    {"device", network.device},
                                    {"subnet", network.subnet},
                                    {"gateway", network.gateway},
                                    {"internal", network.internal}});
    return json::serialize(json::object{{"format", format}, {"networks", std::move(list)}});
}

std::vector<NetworkDefinition> decode_definitions(std::string_view text, const std::string& name) {
    const json::value document = decode(text, name);
    std::vector<NetworkDefinition> networks;
    for (const json::value& entry : base::JsonObject(document, name).array("networks")) {
        const base::JsonObject object(entry, name);
        networks.push_back({object.required_string("name"), object.required_string("id"),
                            object.required_string("device"), object.required_string("subnet"),
                            object.required_string("gateway"), object.boolean("internal")});
    }
    return networks;
}

std::string encode_endpoints(const std::vector<NetworkEndpoint>& endpoints) {
    json::array list;
    for (const NetworkEndpoint& endpoint : endpoints) {
        json::array ports;
        for (const PublishedPort& port : endpoint.ports)
            ports.push_back(json::object{{"hostAddress", port.host_address},
                                         {"hostPort", port.host_port},
                                         {"containerPort", port.container_port},
                                         {"protocol", port.protocol}});
        list.push_back(json::object{{"container", endpoint.container},
                                    {"network", endpoint.network},
                                    {"networkId", endpoint.network_id},
                                    {"endpointId", endpoint.endpoint_id},
                                    {"address", endpoint.address},
                                    {"prefixLength", endpoint.prefix_length},
                                    {"gateway", endpoint.gateway},
                                    {"mac", endpoint.mac},
                                    {"hostDevice", endpoint.host_device},
                                    {"ports", std::move(ports)}});
    }
    return json::serialize(json::object{{"format", format}, {"endpoints", std::move(list)}});
}

std::vector<NetworkEndpoint> decode_endpoints(std::string_view text, const std::string& name) {
    const json::value document = decode(text, name);
    std::vector<NetworkEndpoint> endpoints;
    for (const json::value& entry : base::JsonObject(document, name).array("endpoints")) {
        const base::JsonObject object(entry, name);
        NetworkEndpoint endpoint;
        endpoint.container = object.required_string("container");
        endpoint.network = object.required_string("network");
        endpoint.network_id = object.required_string("networkId");
        endpoint.endpoint_id = object.required_string("endpointId");
        endpoint.address = object.required_string("address");
        endpoint.prefix_length = static_cast<unsigned>(object.integer("prefixLength"));
        endpoint.gateway = object.string("gateway");
        endpoint.mac = object.required_string("mac");
        endpoint.host_device = object.required_string("hostDevice");
        for (const json::value& port_entry : object.array("ports")) {
            const base::JsonObject port(port_entry, name);
            endpoint.ports.push_back({port.string("hostAddress"), port_number(port, "hostPort"),
                                      port_number(port, "containerPort"), port.required_string("protocol")});
        }
        endpoints.push_back(std::move(endpoint));
    }
    return endpoints;
}

} // namespace engine::network
