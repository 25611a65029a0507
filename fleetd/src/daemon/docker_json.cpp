#include "daemon/docker_json.hpp"

#include <charconv>

#include "base/json.hpp"

namespace fleet {
namespace {

namespace json = base::json;

json::array strings_to_json(const std::vector<std::string>& strings) {
    json::array array;
    for (const std::string& text : strings)
        array.emplace_back(text);
    return array;
}

std::int64_t nanoseconds(std::chrono::milliseconds duration) {
    return std::chrono::nanoseconds(duration).count();
}

json::object health_to_json(const UnitHealth& health) {
    json::array test{"CMD"};
    for (const std::string& argument : health.command)
        test.emplace_back(argument);
    return {{"Test", std::move(test)},
            {"Interval", nanoseconds(health.interval)},
            {"Timeout", nanoseconds(health.timeout)},
            {"StartPeriod", nanoseconds(health.start_period)},
            {"Retries", health.retries}};
}

json::object host_config(const UnitSpec& spec) {
    json::object bindings;
    for (const PublishedPort& port : spec.ports) {
        const std::string key = fmt::format("{}/{}", port.container_port, port.protocol);
        json::array& list = bindings[key].is_array() ? bindings[key].as_array() : bindings[key].emplace_array();
        list.push_back(json::object{{"HostIp", port.address},
                                    {"HostPort", port.host_port == 0 ? "" : std::to_string(port.host_port)}});
    }
    json::array binds;
    for (const UnitMount& mount : spec.mounts)
        binds.emplace_back(fmt::format("{}:{}:{}", mount.source, mount.target, mount.read_only ? "ro" : "rw"));
    // unless-stopped and not always: a unit that `fleetctl stop` stopped must not come up by itself after a reboot.
    const char* policy = spec.restart == Restart::always ? "unless-stopped" : to_string(spec.restart);
    return {{"Binds", std::move(binds)},
            {"PortBindings", std::move(bindings)},
            {"RestartPolicy", json::object{{"Name", policy}}}};
}

template <typename T>
std::optional<T> parse_number(const std::string& text) {
    T number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

/// Docker's "0001-01-01T00:00:00Z" is "never".
std::string time_text(const base::JsonObject& state, std::string_view key) {
    const std::string text = state.string(key);
    return text.starts_with("0001-") ? std::string() : text;
}

} // namespace

std::string create_body(const Unit& unit, unsigned replica, const std::string& store) {
    const UnitSpec& spec = unit.spec;
    json::object body{{"Image", spec.image}};
    if (!spec.command.empty())
        body["Cmd"] = strings_to_json(spec.command);
    json::array env;
    for (const auto& [name, value] : spec.env)
        env.emplace_back(name + "=" + value);
    body["Env"] = std::move(env);
    body["Labels"] = json::object{{"atoll.fleet.unit", spec.name},
                                  {"atoll.fleet.replica", std::to_string(replica)},
                                  {"atoll.fleet.hash", unit.hash},
                                  {"atoll.fleet.launch", std::to_string(unit.launch)},
                                  {"atoll.fleet.store", store}};
    json::object exposed;
    for (const PublishedPort& port : spec.ports)
        exposed[fmt::format("{}/{}", port.container_port, port.protocol)] = json::object{};
    body["ExposedPorts"] = std::move(exposed);
    if (spec.health)
        body["Healthcheck"] = health_to_json(*spec.health);
    body["HostConfig"] = host_config(spec);
    return json::serialize(body);
}

std::string parse_version(const std::string& text) {
    const json::value value = base::parse_json(text, "version");
    return base::JsonObject(value, "version").string("Version");
}

std::vector<std::string> parse_container_ids(const std::string& text) {
    const json::value value = base::parse_json(text, "containers/json");
    const json::array* list = value.if_array();
    if (list == nullptr)
        throw base::Error("containers/json: expected a list");
    std::vector<std::string> ids;
    for (const json::value& item : *list)
        ids.push_back(base::JsonObject(item, "containers/json").required_string("Id"));
    return ids;
}

ObservedContainer parse_container(const std::string& text) {
    const json::value value = base::parse_json(text, "container");
    const base::JsonObject object(value, "container");
    ObservedContainer container;
    container.id = object.required_string("Id");
    container.name = object.string("Name");
    if (container.name.starts_with('/'))
        container.name.erase(0, 1);
    container.restarts = static_cast<unsigned>(std::clamp<std::int64_t>(object.integer("RestartCount"), 0, INT32_MAX));
    if (const auto config = object.object("Config")) {
        if (const auto labels = config->object("Labels")) {
            const auto replica = parse_number<unsigned>(labels->string("atoll.fleet.replica"));
            const auto launch = parse_number<std::int64_t>(labels->string("atoll.fleet.launch"));
            if (replica && launch)
                container.unit = labels->string("atoll.fleet.unit");
            container.replica = replica.value_or(0);
            container.launch = launch.value_or(0);
            container.hash = labels->string("atoll.fleet.hash");
            container.store = labels->string("atoll.fleet.store");
        }
    }
    const auto state = object.object("State");
    if (!state)
        throw base::Error(fmt::format("container {}: State: missing", container.id));
    container.state = state->required_string("Status");
    container.exit_code = static_cast<int>(state->integer("ExitCode"));
    container.error = state->string("Error");
    container.started = time_text(*state, "StartedAt");
    container.finished = time_text(*state, "FinishedAt");
    if (const auto health = state->object("Health"))
        container.health = health->string("Status", "none");
    return container;
}

std::string pull_error(const std::string& text) {
    // One JSON document a line.
    for (std::size_t start = 0; start < text.size();) {
        const std::size_t end = std::min(text.find('\n', start), text.size());
        const std::string line = text.substr(start, end - start);
        start = end + 1;
        if (line.find_first_not_of(" \t\r") == std::string::npos)
            continue;
        const json::value value = base::parse_json(line, "images/create");
        const base::JsonObject object(value, "images/create");
        if (object.has("error"))
            return object.string("error");
    }
    return {};
}

std::string error_message(const std::string& text) {
    try {
        const json::value value = base::parse_json(text, "error");
        return base::JsonObject(value, "error").string("message", text);
    } catch (const base::Error&) { // not JSON: its words are what we have
        return text.substr(0, 500);
    }
}

std::string demultiplex(std::string_view stream) {
    std::string text;
    while (!stream.empty()) {
        const auto byte = [&](std::size_t i) {
            return static_cast<unsigned char>(stream[i]);
        };
        if (stream.size() < 8 || byte(0) > 2 || byte(1) != 0 || byte(2) != 0 || byte(3) != 0) {
            text += stream; // a terminal's output has no frames
            break;
        }
        const std::size_t length = static_cast<std::size_t>(byte(4)) << 24 | static_cast<std::size_t>(byte(5)) << 16 |
                                   static_cast<std::size_t>(byte(6)) << 8 | byte(7);
        stream.remove_prefix(8);
        const std::size_t there = std::min(length, stream.size());
        text += stream.substr(0, there);
        stream.remove_prefix(there);
    }
    return text;
}

} // namespace fleet
