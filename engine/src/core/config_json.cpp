#include "core/config_json.hpp"

#include "base/error.hpp"
#include "base/json.hpp"

namespace engine {
namespace {

namespace json = base::json;
using base::JsonObject;

json::array to_array(const std::vector<std::string>& values) {
    json::array array;
    for (const std::string& value : values)
        array.emplace_back(value);
    return array;
}

json::object to_object(const std::map<std::string, std::string>& values) {
    json::object object;
    for (const auto& [key, value] : values)
        object[key] = value;
    return object;
}

std::map<std::string, std::string> string_map(const JsonObject& from, std::string_view key) {
    std::map<std::string, std::string> values;
    if (const auto object = from.object(key))
        for (const auto& [name, value] : object->raw())
            values[name] = object->string(name);
    return values;
}

std::int64_t nsec(TimePoint time) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}
TimePoint time_point(std::int64_t nanoseconds) {
    return TimePoint(std::chrono::duration_cast<TimePoint::duration>(std::chrono::nanoseconds(nanoseconds)));
}

json::object from_mount(const ContainerMount& mount) {
    return {{"type", static_cast<int>(mount.type)}, {"source", mount.source},
            {"volume", mount.volume_name},          {"target", mount.target},
            {"read_only", mount.read_only},         {"propagation", mount.propagation},
            {"options", to_array(mount.options)}};
}

ContainerMount to_mount(const JsonObject& from) {
    ContainerMount mount;
    mount.type = static_cast<ContainerMount::Type>(from.integer("type"));
    mount.source = from.string("source");
    mount.volume_name = from.string("volume");
    mount.target = from.string("target");
    mount.read_only = from.boolean("read_only");
    mount.propagation = from.string("propagation");
    mount.options = from.strings("options");
    return mount;
}

json::object from_resources(const Resources& r) {
    return {
        {"memory", r.memory},           {"memory_swap", r.memory_swap}, {"memory_reservation", r.memory_reservation},
        {"memory_min", r.memory_min},   {"nano_cpus", r.nano_cpus},     {"cpu_shares", r.cpu_shares},
        {"cpu_quota", r.cpu_quota},     {"cpu_period", r.cpu_period},   {"cpuset_cpus", r.cpuset_cpus},
        {"cpuset_mems", r.cpuset_mems}, {"pids_limit", r.pids_limit}};
}

Resources to_resources(const JsonObject& from) {
    Resources r;
    r.memory = from.integer("memory");
    r.memory_swap = from.integer("memory_swap");
    r.memory_reservation = from.integer("memory_reservation");
    r.memory_min = from.integer("memory_min");
    r.nano_cpus = from.integer("nano_cpus");
    r.cpu_shares = from.integer("cpu_shares");
    r.cpu_quota = from.integer("cpu_quota");
    r.cpu_period = from.integer("cpu_period");
    r.cpuset_cpus = from.string("cpuset_cpus");
    r.cpuset_mems = from.string("cpuset_mems");
    r.pids_limit = from.integer("pids_limit");
    return r;
}

json::object from_health(const HealthConfig& health) {
    return {{"kind", static_cast<int>(health.kind)},       {"command", to_array(health.command)},
            {"interval", health.interval.count()},         {"timeout", health.timeout.count()},
            {"start_period", health.start_period.count()}, {"retries", health.retries}};
}

HealthConfig to_health(const JsonObject& from) {
    HealthConfig health;
    health.kind = static_cast<HealthConfig::Kind>(from.integer("kind"));
    health.command = from.strings("command");
    health.interval = std::chrono::milliseconds(from.integer("interval", 30'000));
    health.timeout = std::chrono::milliseconds(from.integer("timeout", 30'000));
    health.start_period = std::chrono::milliseconds(from.integer("start_period"));
    health.retries = static_cast<unsigned>(from.integer("retries", 3));
    return health;
}

void put_network(json::object& out, const ContainerConfig& c) {
    out["network_mode"] = c.network_mode;
    json::array ports;
    for (const PublishedPort& port : c.ports)
        ports.push_back(json::object{{"host_address", port.host_address},
                                     {"host_port", port.host_port},
                                     {"container_port", port.container_port},
                                     {"protocol", port.protocol}});
    out["ports"] = std::move(ports);
    if (c.address)
        out["address"] = *c.address;
    if (c.mac)
        out["mac"] = *c.mac;
    out["dns"] = to_array(c.dns);
    out["dns_search"] = to_array(c.dns_search);
    out["dns_options"] = to_array(c.dns_options);
    out["extra_hosts"] = to_array(c.extra_hosts);
}

void get_network(const JsonObject& from, ContainerConfig& c) {
    c.network_mode = from.string("network_mode", "bridge");
    for (const json::value& value : from.array("ports")) {
        const JsonObject port(value, from.name() + ": ports");
        c.ports.push_back({port.string("host_address"), static_cast<std::uint16_t>(port.integer("host_port")),
                           static_cast<std::uint16_t>(port.integer("container_port")), port.string("protocol", "tcp")});
    }
    if (from.has("address"))
        c.address = from.string("address");
    if (from.has("mac"))
        c.mac = from.string("mac");
    c.dns = from.strings("dns");
    c.dns_search = from.strings("dns_search");
    c.dns_options = from.strings("dns_options");
    c.extra_hosts = from.strings("extra_hosts");
}

void put_security(json::object& out, const ContainerConfig& c) {
    out["cap_add"] = to_array(c.cap_add);
    out["cap_drop"] = to_array(c.cap_drop);
    out["only_capabilities"] = c.only_capabilities;
    out["privileged"] = c.privileged;
    out["no_new_privileges"] = c.no_new_privileges;
    out["seccomp"] = c.seccomp;
    if (c.masked_paths)
        out["masked_paths"] = to_array(*c.masked_paths);
    if (c.readonly_paths)
        out["readonly_paths"] = to_array(*c.readonly_paths);
    out["read_only_rootfs"] = c.read_only_rootfs;
    json::array devices;
    for (const Device& device : c.devices)
        devices.push_back(json::object{
            {"host", device.host_path}, {"container", device.container_path}, {"permissions", device.permissions}});
    out["devices"] = std::move(devices);
    json::array ulimits;
    for (const Ulimit& limit : c.ulimits)
        ulimits.push_back(json::object{{"name", limit.name}, {"soft", limit.soft}, {"hard", limit.hard}});
    out["ulimits"] = std::move(ulimits);
    out["sysctls"] = to_object(c.sysctls);
}

void get_security(const JsonObject& from, ContainerConfig& c) {
    c.cap_add = from.strings("cap_add");
    c.cap_drop = from.strings("cap_drop");
    c.only_capabilities = from.boolean("only_capabilities");
    c.privileged = from.boolean("privileged");
    c.no_new_privileges = from.boolean("no_new_privileges");
    c.seccomp = from.string("seccomp");
    if (from.has("masked_paths"))
        c.masked_paths = from.strings("masked_paths");
    if (from.has("readonly_paths"))
        c.readonly_paths = from.strings("readonly_paths");
    c.read_only_rootfs = from.boolean("read_only_rootfs");
    for (const json::value& value : from.array("devices")) {
        const JsonObject device(value, from.name() + ": devices");
        c.devices.push_back({device.string("host"), device.string("container"), device.string("permissions", "rwm")});
    }
    for (const json::value& value : from.array("ulimits")) {
        const JsonObject limit(value, from.name() + ": ulimits");
        c.ulimits.push_back({limit.string("name"), limit.integer("soft"), limit.integer("hard")});
    }
    c.sysctls = string_map(from, "sysctls");
}

json::object from_config(const ContainerConfig& c) {
    json::object out{{"image", c.image},
                     {"image_id", c.image_id},
                     {"entrypoint", to_array(c.entrypoint)},
                     {"command", to_array(c.command)},
                     {"env", to_array(c.env)},
                     {"working_directory", c.working_directory},
                     {"user", c.user},
                     {"additional_groups", to_array(c.additional_groups)},
                     {"hostname", c.hostname},
                     {"domainname", c.domainname},
                     {"labels", to_object(c.labels)},
                     {"tty", c.tty},
                     {"open_stdin", c.open_stdin},
                     {"stdin_once", c.stdin_once},
                     {"image_volumes", to_array(c.image_volumes)},
                     {"restart", to_string(c.restart.kind)},
                     {"restart_retries", c.restart.maximum_retries},
                     {"auto_remove", c.auto_remove},
                     {"init", c.init},
                     {"pid_mode", c.pid_mode},
                     {"ipc_mode", c.ipc_mode},
                     {"uts_mode", c.uts_mode},
                     {"cgroup_mode", c.cgroup_mode},
                     {"shm_size", c.shm_size},
                     {"oom_score_adj", c.oom_score_adj},
                     {"resources", from_resources(c.resources)},
                     {"stop_signal", c.stop_signal},
                     {"health", from_health(c.health)},
                     {"log_driver", static_cast<int>(c.log.driver)},
                     {"log_maximum_size", c.log.maximum_size},
                     {"log_maximum_files", c.log.maximum_files},
                     {"system_service", c.system_service},
                     {"host_rootfs", c.host_rootfs},
                     {"api_data", c.api_data}};
    json::array mounts;
    for (const ContainerMount& mount : c.mounts)
        mounts.push_back(from_mount(mount));
    out["mounts"] = std::move(mounts);
    if (c.stop_timeout)
        out["stop_timeout"] = *c.stop_timeout;
    put_network(out, c);
    put_security(out, c);
    return out;
}

ContainerConfig to_config(const JsonObject& from) {
    ContainerConfig c;
    c.image = from.string("image");
    c.image_id = from.string("image_id");
    c.entrypoint = from.strings("entrypoint");
    c.command = from.strings("command");
    c.env = from.strings("env");
    c.working_directory = from.string("working_directory");
    c.user = from.string("user");
    c.additional_groups = from.strings("additional_groups");
    c.hostname = from.string("hostname");
    c.domainname = from.string("domainname");
    c.labels = string_map(from, "labels");
    c.tty = from.boolean("tty");
    c.open_stdin = from.boolean("open_stdin");
    c.stdin_once = from.boolean("stdin_once");
    for (const json::value& value : from.array("mounts"))
        c.mounts.push_back(to_mount(JsonObject(value, from.name() + ": mounts")));
    c.image_volumes = from.strings("image_volumes");
    get_network(from, c);
    c.restart.kind = parse_restart_policy(from.string("restart")).value_or(RestartPolicy::Kind::no);
    c.restart.maximum_retries = static_cast<unsigned>(from.integer("restart_retries"));
    c.auto_remove = from.boolean("auto_remove");
    get_security(from, c);
    c.init = from.boolean("init");
    c.pid_mode = from.string("pid_mode");
    c.ipc_mode = from.string("ipc_mode");
    c.uts_mode = from.string("uts_mode");
    c.cgroup_mode = from.string("cgroup_mode");
    c.shm_size = from.integer("shm_size", c.shm_size);
    c.oom_score_adj = from.integer("oom_score_adj");
    if (const auto resources = from.object("resources"))
        c.resources = to_resources(*resources);
    c.stop_signal = from.string("stop_signal");
    if (from.has("stop_timeout"))
        c.stop_timeout = static_cast<int>(from.integer("stop_timeout"));
    if (const auto health = from.object("health"))
        c.health = to_health(*health);
    c.log.driver = static_cast<LogConfig::Driver>(from.integer("log_driver"));
    c.log.maximum_size = static_cast<std::uint64_t>(from.integer("log_maximum_size", 16 * 1024 * 1024));
    c.log.maximum_files = static_cast<unsigned>(from.integer("log_maximum_files", 2));
    c.system_service = from.string("system_service");
    c.host_rootfs = from.boolean("host_rootfs");
    c.api_data = from.string("api_data");
    return c;
}

} // namespace

std::string format_saved_container(const SavedContainer& container) {
    return json::serialize(json::object{{"version", 1},
                                        {"id", container.id},
                                        {"name", container.name},
                                        {"created", nsec(container.created)},
                                        {"lower_directories", to_array(container.lower_directories)},
                                        {"config", from_config(container.config)}}) +
           "\n";
}

SavedContainer parse_saved_container(std::string_view text, const std::string& name) {
    const json::value document = base::parse_json(text, name);
    const JsonObject from(document, name);
    SavedContainer container;
    container.id = from.required_string("id");
    container.name = from.required_string("name");
    container.created = time_point(from.integer("created"));
    container.lower_directories = from.strings("lower_directories");
    const auto config = from.object("config");
    if (!config)
        throw base::Error(name + ": config is missing");
    container.config = to_config(*config);
    return container;
}

std::string format_saved_state(const SavedState& saved) {
    const ContainerState& state = saved.state;
    json::object out{{"version", 1},
                     {"status", to_string(state.status)},
                     {"exit_code", state.exit_code},
                     {"oom_killed", state.oom_killed},
                     {"error", state.error},
                     {"restart_count", state.restart_count},
                     {"stopped_by_user", saved.stopped_by_user}};
    if (state.started)
        out["started"] = nsec(*state.started);
    if (state.finished)
        out["finished"] = nsec(*state.finished);
    return json::serialize(out) + "\n";
}

SavedState parse_saved_state(std::string_view text, const std::string& name) {
    const json::value document = base::parse_json(text, name);
    const JsonObject from(document, name);
    SavedState saved;
    const std::string status = from.string("status");
    saved.state.status = Status::exited;
    for (const Status candidate : {Status::created, Status::running, Status::paused, Status::restarting, Status::exited,
                                   Status::dead, Status::removing})
        if (status == to_string(candidate))
            saved.state.status = candidate;
    saved.state.exit_code = static_cast<int>(from.integer("exit_code"));
    saved.state.oom_killed = from.boolean("oom_killed");
    saved.state.error = from.string("error");
    saved.state.restart_count = static_cast<unsigned>(from.integer("restart_count"));
    saved.stopped_by_user = from.boolean("stopped_by_user");
    if (from.has("started"))
        saved.state.started = time_point(from.integer("started"));
    if (from.has("finished"))
        saved.state.finished = time_point(from.integer("finished"));
    return saved;
}

} // namespace engine
