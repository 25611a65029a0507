#include "model/records.hpp"

#include "base/error.hpp"
#include "model/replica_json.hpp"

namespace fleet {
namespace {

namespace json = base::json;

json::array to_array(const std::vector<std::string>& strings) {
    json::array array;
    for (const std::string& text : strings)
        array.emplace_back(text);
    return array;
}

std::chrono::milliseconds milliseconds(const base::JsonObject& object, std::string_view key,
                                       std::chrono::milliseconds fallback) {
    return std::chrono::milliseconds(object.integer(key, fallback.count()));
}

template <typename T>
T bounded(const base::JsonObject& object, std::string_view key, std::int64_t fallback, std::int64_t max) {
    const std::int64_t number = object.integer(key, fallback);
    if (number < 0 || number > max)
        throw base::Error(fmt::format("{}: {}: {} is out of range", object.name(), key, number));
    return static_cast<T>(number);
}

json::object health_to_json(const UnitHealth& health) {
    const UnitHealth defaults;
    json::object object{{"command", to_array(health.command)}};
    if (health.interval != defaults.interval)
        object["interval_ms"] = health.interval.count();
    if (health.timeout != defaults.timeout)
        object["timeout_ms"] = health.timeout.count();
    if (health.start_period != defaults.start_period)
        object["start_period_ms"] = health.start_period.count();
    if (health.retries != defaults.retries)
        object["retries"] = health.retries;
    return object;
}

json::object port_to_json(const PublishedPort& port) {
    json::object object{{"container", port.container_port}};
    if (port.host_port != 0)
        object["host"] = port.host_port;
    if (!port.address.empty())
        object["address"] = port.address;
    if (port.protocol != "tcp")
        object["protocol"] = port.protocol;
    return object;
}

json::object spec_to_json(const UnitSpec& spec) {
    json::object object;
    if (!spec.name.empty())
        object["name"] = spec.name;
    object["image"] = spec.image;
    if (!spec.command.empty())
        object["command"] = to_array(spec.command);
    if (!spec.env.empty()) {
        json::object env;
        for (const auto& [name, value] : spec.env) // sorted: the order in the file does not matter
            env[name] = value;
        object["env"] = std::move(env);
    }
    if (!spec.ports.empty()) {
        json::array ports;
        for (const PublishedPort& port : spec.ports)
            ports.push_back(port_to_json(port));
        object["ports"] = std::move(ports);
    }
    if (!spec.mounts.empty()) {
        json::array mounts;
        for (const UnitMount& mount : spec.mounts) {
            json::object item{{"source", mount.source}, {"target", mount.target}};
            if (mount.read_only)
                item["read_only"] = true;
            mounts.push_back(std::move(item));
        }
        object["mounts"] = std::move(mounts);
    }
    if (spec.restart != Restart::always)
        object["restart"] = to_string(spec.restart);
    if (spec.replicas != 1)
        object["replicas"] = spec.replicas;
    if (spec.health)
        object["health"] = health_to_json(*spec.health);
    return object;
}

UnitSpec spec_from_json(const base::JsonObject& object) {
    UnitSpec spec;
    spec.name = object.string("name");
    spec.image = object.required_string("image");
    spec.command = object.strings("command");
    if (const auto env = object.object("env")) {
        for (const auto& member : env->raw())
            spec.env[std::string(member.key())] = env->string(member.key());
    }
    for (const json::value& item : object.array("ports")) {
        const base::JsonObject port(item, object.name() + ": ports");
        spec.ports.push_back({.address = port.string("address"),
                              .host_port = bounded<std::uint16_t>(port, "host", 0, 65535),
                              .container_port = bounded<std::uint16_t>(port, "container", 0, 65535),
                              .protocol = port.string("protocol", "tcp")});
    }
    for (const json::value& item : object.array("mounts")) {
        const base::JsonObject mount(item, object.name() + ": mounts");
        spec.mounts.push_back(
            {mount.required_string("source"), mount.required_string("target"), mount.boolean("read_only")});
    }
    const auto restart = parse_restart(object.string("restart", "always"));
    if (!restart)
        throw base::Error(fmt::format("{}: restart: unknown policy {}", object.name(), object.string("restart")));
    spec.restart = *restart;
    spec.replicas = bounded<unsigned>(object, "replicas", 1, max_replicas);
    if (const auto health = object.object("health")) {
        UnitHealth parsed;
        parsed.command = health->strings("command");
        parsed.interval = milliseconds(*health, "interval_ms", parsed.interval);
        parsed.timeout = milliseconds(*health, "timeout_ms", parsed.timeout);
        parsed.start_period = milliseconds(*health, "start_period_ms", parsed.start_period);
        parsed.retries = bounded<unsigned>(*health, "retries", parsed.retries, 1'000'000);
        spec.health = parsed;
    }
    return spec;
}

} // namespace

std::string serialize_spec(const UnitSpec& spec) {
    return json::serialize(spec_to_json(spec));
}

std::string serialize_unit(const UnitSpec& spec, const std::string& hash, const std::string& source) {
    return json::serialize(json::object{{"spec", spec_to_json(spec)}, {"hash", hash}, {"source", source}});
}

Unit parse_unit_record(const std::string& text, const std::string& key) {
    const json::value value = base::parse_json(text, key);
    const base::JsonObject object(value, key);
    const auto spec = object.object("spec");
    if (!spec)
        throw base::Error(fmt::format("{}: spec: missing", key));
    Unit unit;
    unit.spec = spec_from_json(*spec);
    unit.hash = object.required_string("hash");
    unit.source = object.string("source");
    return unit;
}

std::string serialize_state(const UnitState& state) {
    return json::serialize(json::object{{"desired", to_string(state.desired)}, {"launch", state.launch}});
}

UnitState parse_state_record(const std::string& text, const std::string& key) {
    const json::value value = base::parse_json(text, key);
    const base::JsonObject object(value, key);
    const auto desired = parse_desired(object.required_string("desired"));
    if (!desired)
        throw base::Error(fmt::format("{}: desired: unknown state {}", key, object.string("desired")));
    return {*desired, object.integer("launch")};
}

std::string serialize_placement(const UnitPlacement& placement) {
    json::array replicas;
    for (const ReplicaPlacement& replica : placement.replicas) {
        json::object item;
        if (!replica.host.empty())
            item["host"] = replica.host;
        if (!replica.problem.empty())
            item["problem"] = replica.problem;
        replicas.push_back(std::move(item));
    }
    return json::serialize(json::object{{"hash", placement.hash}, {"replicas", std::move(replicas)}});
}

UnitPlacement parse_placement_record(const std::string& text, const std::string& key) {
    const json::value value = base::parse_json(text, key);
    const base::JsonObject object(value, key);
    UnitPlacement placement;
    placement.hash = object.string("hash");
    for (const json::value& item : object.array("replicas")) {
        const base::JsonObject replica(item, key + ": replicas");
        placement.replicas.push_back({replica.string("host"), replica.string("problem")});
    }
    return placement;
}

std::string serialize_host(const Host& host) {
    return json::serialize(json::object{{"name", host.name}, {"version", host.version}});
}

Host parse_host_record(const std::string& text, const std::string& key) {
    const json::value value = base::parse_json(text, key);
    const base::JsonObject object(value, key);
    return {.id = {}, .name = object.string("name"), .version = object.string("version")};
}

json::object replica_to_json(const ReplicaReport& replica) {
    return {{"unit", replica.unit},           {"replica", replica.replica},   {"state", replica.state},
            {"health", replica.health},       {"detail", replica.detail},     {"error", replica.error},
            {"container", replica.container}, {"hash", replica.hash},         {"since", replica.since},
            {"exit_code", replica.exit_code}, {"restarts", replica.restarts}, {"converged", replica.converged}};
}

ReplicaReport replica_from_json(const base::JsonObject& object) {
    ReplicaReport replica;
    replica.unit = object.required_string("unit");
    replica.replica = bounded<unsigned>(object, "replica", 0, 1'000'000);
    replica.state = object.string("state");
    replica.health = object.string("health");
    replica.detail = object.string("detail");
    replica.error = object.string("error");
    replica.container = object.string("container");
    replica.hash = object.string("hash");
    replica.since = object.string("since");
    replica.exit_code = static_cast<int>(object.integer("exit_code"));
    replica.restarts = bounded<unsigned>(object, "restarts", 0, 1'000'000'000);
    replica.converged = object.boolean("converged");
    return replica;
}

std::string serialize_report(const HostReport& report) {
    json::array replicas;
    for (const ReplicaReport& replica : report.replicas)
        replicas.push_back(replica_to_json(replica));
    return json::serialize(json::object{{"seen", report.seen},
                                        {"engine", report.engine},
                                        {"engine_error", report.engine_error},
                                        {"replicas", std::move(replicas)},
                                        {"foreign", to_array(report.foreign)}});
}

HostReport parse_report_record(const std::string& text, const std::string& key) {
    const json::value value = base::parse_json(text, key);
    const base::JsonObject object(value, key);
    HostReport report;
    report.seen = object.integer("seen");
    report.engine = object.string("engine");
    report.engine_error = object.string("engine_error");
    for (const json::value& item : object.array("replicas"))
        report.replicas.push_back(replica_from_json(base::JsonObject(item, key + ": replicas")));
    report.foreign = object.strings("foreign");
    return report;
}

} // namespace fleet
