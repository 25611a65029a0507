#include "ctl/fleet_client.hpp"

#include "model/replica_json.hpp"

namespace fleet {
namespace {

namespace json = base::json;

std::string unit_path(const std::string& name, const std::string& what = {}) {
    return "/v1/units/" + base::http::url_encode(name) + (what.empty() ? "" : "/" + what);
}

std::string message_of(const base::http::ClientResponse& response) {
    try {
        const json::value value = base::parse_json(response.body, "answer");
        return base::JsonObject(value, "answer").required_string("message");
    } catch (const base::Error&) { // not fleetd's
        return fmt::format("HTTP status {}", response.status);
    }
}

UnitStatus status_from_json(const json::value& value) {
    const base::JsonObject object(value, "unit");
    UnitStatus status{.name = object.required_string("name"),
                      .desired = object.string("desired"),
                      .image = object.string("image"),
                      .hash = object.string("hash"),
                      .error = object.string("error"),
                      .revision = object.integer("revision"),
                      .converged = object.boolean("converged"),
                      .replicas = {}};
    for (const json::value& item : object.array("replicas")) {
        json::value with_unit = item;
        if (json::object* members = with_unit.if_object())
            (*members)["unit"] = status.name;
        const base::JsonObject replica(with_unit, "replica");
        status.replicas.push_back({replica_from_json(replica), replica.string("host"), replica.string("host_name"),
                                   replica.boolean("current", true)});
    }
    return status;
}

} // namespace

std::string FleetClient::expect_ok(const std::string& method, const std::string& path, const std::string& body) {
    base::http::ClientRequest request;
    request.method = method;
    request.target = path;
    request.body = body;
    auto response = client_.send(request);
    if (!response.ok())
        throw base::Error(message_of(response));
    return std::move(response.body);
}

SubmitResult FleetClient::submit(const std::string& name, const std::string& source, const std::string& file,
                                 std::optional<Desired> desired) {
    json::object body{{"source", source}, {"file", file}};
    if (desired)
        body["desired"] = to_string(*desired);
    const json::value value = base::parse_json(expect_ok("PUT", unit_path(name), json::serialize(body)), "answer");
    const base::JsonObject answer(value, "answer");
    return {answer.boolean("created"), answer.boolean("changed")};
}

void FleetClient::set_desired(const std::string& name, Desired desired) {
    expect_ok("POST", unit_path(name, "desired"), json::serialize(json::object{{"desired", to_string(desired)}}));
}

void FleetClient::destroy(const std::string& name) {
    expect_ok("DELETE", unit_path(name));
}

std::string FleetClient::source(const std::string& name) {
    const json::value value = base::parse_json(expect_ok("GET", unit_path(name)), "answer");
    return base::JsonObject(value, "answer").string("source");
}

std::optional<UnitStatus> FleetClient::status(const std::string& name) {
    const auto response = client_.get(unit_path(name, "status"));
    if (response.status == 404)
        return std::nullopt;
    if (!response.ok())
        throw base::Error(message_of(response));
    return status_from_json(base::parse_json(response.body, "answer"));
}

std::vector<UnitStatus> FleetClient::units() {
    const json::value value = base::parse_json(expect_ok("GET", "/v1/units"), "answer");
    std::vector<UnitStatus> units;
    for (const json::value& item : base::JsonObject(value, "answer").array("units"))
        units.push_back(status_from_json(item));
    return units;
}

std::vector<HostStatus> FleetClient::hosts() {
    const json::value value = base::parse_json(expect_ok("GET", "/v1/hosts"), "answer");
    std::vector<HostStatus> hosts;
    for (const json::value& item : base::JsonObject(value, "answer").array("hosts")) {
        const base::JsonObject host(item, "host");
        hosts.push_back({.id = host.required_string("id"),
                         .name = host.string("name"),
                         .version = host.string("version"),
                         .state = host.string("state"),
                         .engine = host.string("engine"),
                         .engine_error = host.string("engine_error"),
                         .replicas = host.integer("replicas"),
                         .running = host.integer("running"),
                         .foreign_containers = host.strings("foreign_containers")});
    }
    return hosts;
}

std::string FleetClient::logs(const std::string& name, unsigned replica, unsigned lines) {
    return expect_ok("GET", fmt::format("{}?replica={}&tail={}", unit_path(name, "logs"), replica, lines));
}

std::string FleetClient::raw(const std::string& path) {
    return expect_ok("GET", path);
}

} // namespace fleet
