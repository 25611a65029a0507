#include "api/create_body.hpp"

#include <charconv>

#include "api/mount_spec.hpp"
#include "base/http/server.hpp"
#include "base/json.hpp"

namespace engine::api {
namespace {

using base::JsonObject;
using base::http::HttpError;

/// A list of strings, or one string (docker takes both for Cmd and Entrypoint).
std::vector<std::string> words(const JsonObject& object, std::string_view key) {
    if (object.has(key) && object.raw().at(key).is_string())
        return {object.string(key)};
    return object.strings(key);
}

std::map<std::string, std::string> string_map(const JsonObject& object, std::string_view key) {
    std::map<std::string, std::string> result;
    if (const auto map = object.object(key))
        for (const auto& member : map->raw())
            result[std::string(member.key())] = map->string(member.key());
    return result;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return port;
}

/// "80/tcp" or "80".
PublishedPort parse_container_port(std::string_view text) {
    PublishedPort port;
    const std::size_t slash = text.find('/');
    const auto number = parse_port(text.substr(0, slash));
    if (slash != std::string_view::npos)
        port.protocol = std::string(text.substr(slash + 1));
    if (!number || *number == 0 || (port.protocol != "tcp" && port.protocol != "udp"))
        throw HttpError(400, fmt::format("invalid port specification: {:?}: expected PORT/tcp or PORT/udp", text));
    port.container_port = *number;
    return port;
}

std::string port_key(const PublishedPort& port) {
    return fmt::format("{}/{}", port.container_port, port.protocol);
}

void read_ports(const JsonObject& config, const JsonObject* host_config, CreateBody& body) {
    if (const auto exposed = config.object("ExposedPorts"))
        for (const auto& member : exposed->raw())
            body.exposed_ports.insert(port_key(parse_container_port(std::string_view(member.key()))));
    if (host_config == nullptr)
        return;
    body.publish_all = host_config->boolean("PublishAllPorts");
    const auto bindings = host_config->object("PortBindings");
    if (!bindings)
        return;
    for (const auto& member : bindings->raw()) {
        const PublishedPort base_port = parse_container_port(std::string_view(member.key()));
        body.exposed_ports.insert(port_key(base_port));
        for (const base::json::value& item : bindings->array(member.key())) {
            const JsonObject binding(item, "HostConfig.PortBindings");
            PublishedPort port = base_port;
            port.host_address = binding.string("HostIp");
            if (port.host_address.find(':') != std::string::npos)
                throw HttpError(400,
                                fmt::format("publishing on the IPv6 address {} is not supported", port.host_address));
            if (const std::string text = binding.string("HostPort"); !text.empty()) {
                const auto number = parse_port(text);
                if (!number)
                    throw HttpError(400, fmt::format("invalid host port {:?}: expected a number to 65535", text));
                port.host_port = *number;
            }
            body.config.ports.push_back(std::move(port));
        }
    }
}

std::chrono::milliseconds health_time(const JsonObject& object, std::string_view key,
                                      std::chrono::milliseconds fallback) {
    const std::int64_t nanoseconds = object.integer(key);
    if (nanoseconds == 0)
        return fallback;
    if (nanoseconds < 1'000'000)
        throw HttpError(400, fmt::format("{} in Healthcheck cannot be less than 1ms", key));
    return std::chrono::milliseconds(nanoseconds / 1'000'000);
}

HealthConfig read_health(const JsonObject& object) {
    HealthConfig health;
    const std::vector<std::string> test = object.strings("Test");
    if (test.empty())
        return health;
    if (test.front() == "CMD")
        health.kind = HealthConfig::Kind::command;
    else if (test.front() == "CMD-SHELL")
        health.kind = HealthConfig::Kind::shell;
    else if (test.front() != "NONE")
        throw HttpError(400,
                        fmt::format("Healthcheck: unknown test {:?}: expected NONE, CMD or CMD-SHELL", test.front()));
    // ["NONE"] stays as the command of kind none: the image's check is not taken then.
    health.command.assign(test.begin() + (health.kind == HealthConfig::Kind::none ? 0 : 1), test.end());
    health.interval = health_time(object, "Interval", health.interval);
    health.timeout = health_time(object, "Timeout", health.timeout);
    health.start_period = health_time(object, "StartPeriod", health.start_period);
    const std::int64_t retries = object.integer("Retries");
    if (retries < 0 || retries > 1'000'000)
        throw HttpError(400, "Retries in Healthcheck cannot be negative");
    if (retries > 0)
        health.retries = static_cast<unsigned>(retries);
    return health;
}

void read_config(const JsonObject& object, ContainerConfig& config) {
    config.image = object.string("Image");
    config.entrypoint = words(object, "Entrypoint");
    config.command = words(object, "Cmd");
    config.env = object.strings("Env");
    check_environment(config.env);
    config.working_directory = object.string("WorkingDir");
    if (!config.working_directory.empty() && !config.working_directory.starts_with('/'))
        throw HttpError(400, fmt::format("the working directory '{}' is invalid, it needs to be an absolute path",
                                         config.working_directory));
    config.user = object.string("User");
    config.hostname = object.string("Hostname");
    config.domainname = object.string("Domainname");
    config.labels = string_map(object, "Labels");
    config.tty = object.boolean("Tty");
    config.open_stdin = object.boolean("OpenStdin");
    config.stdin_once = object.boolean("StdinOnce");
    config.stop_signal = object.string("StopSignal");
    if (object.has("StopTimeout"))
        config.stop_timeout = static_cast<int>(std::clamp<std::int64_t>(object.integer("StopTimeout"), -1, 1'000'000));
    if (const std::string mac = object.string("MacAddress"); !mac.empty())
        config.mac = mac;
    if (const auto health = object.object("Healthcheck"))
        config.health = read_health(*health);
    if (object.boolean("NetworkDisabled"))
        config.network_mode = "none";
}

RestartPolicy read_restart(const JsonObject& object) {
    RestartPolicy restart;
    const std::string name = object.string("Name");
    const auto kind = parse_restart_policy(name);
    if (!kind)
        throw HttpError(400, fmt::format("invalid restart policy: unknown policy '{}'; use one of 'no', 'always', "
                                         "'on-failure', or 'unless-stopped'",
                                         name));
    restart.kind = *kind;
    const std::int64_t retries = object.integer("MaximumRetryCount");
    if (retries < 0 || retries > 1'000'000)
        throw HttpError(400, "invalid restart policy: maximum retry count cannot be negative");
    if (retries > 0 && *kind != RestartPolicy::Kind::on_failure)
        throw HttpError(400, "invalid restart policy: maximum retry count can only be used with 'on-failure'");
    restart.maximum_retries = static_cast<unsigned>(retries);
    return restart;
}

void read_resources(const JsonObject& object, Resources& resources) {
    const auto take = [&](std::string_view key, std::int64_t& field, std::int64_t minimum) {
        if (!object.has(key))
            return;
        field = object.integer(key);
        if (field < minimum)
            throw HttpError(400, fmt::format("invalid {}: {}", key, field));
    };
    take("Memory", resources.memory, 0);
    take("MemorySwap", resources.memory_swap, -1);
    take("MemoryReservation", resources.memory_reservation, 0);
    take("NanoCpus", resources.nano_cpus, 0);
    take("CpuShares", resources.cpu_shares, 0);
    take("CpuQuota", resources.cpu_quota, -1);
    take("CpuPeriod", resources.cpu_period, 0);
    take("PidsLimit", resources.pids_limit, -1);
    resources.cpuset_cpus = object.string("CpusetCpus", resources.cpuset_cpus);
    resources.cpuset_mems = object.string("CpusetMems", resources.cpuset_mems);
    constexpr std::int64_t memory_minimum = 6 * 1024 * 1024;
    if (resources.memory > 0 && resources.memory < memory_minimum)
        throw HttpError(400, "Minimum memory limit allowed is 6MB");
    if (resources.memory_swap > 0 && resources.memory_swap < resources.memory)
        throw HttpError(400, "Minimum memoryswap limit should be larger than memory limit, see usage");
    if (resources.nano_cpus > 0 && (resources.cpu_quota > 0 || resources.cpu_period > 0))
        throw HttpError(400, "Conflicting options: Nano CPUs and CPU Period cannot both be set");
    if (resources.cpu_quota < 0)
        resources.cpu_quota = 0;
}

/// "10m", "512k", "1g", "1048576".
std::uint64_t parse_size(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    std::string_view unit(end, text.size() - static_cast<std::size_t>(end - text.data()));
    if (unit.size() == 2 && (unit[1] == 'b' || unit[1] == 'B'))
        unit.remove_suffix(1);
    unsigned shift = 0;
    if (unit == "k" || unit == "K")
        shift = 10;
    else if (unit == "m" || unit == "M")
        shift = 20;
    else if (unit == "g" || unit == "G")
        shift = 30;
    else if (!unit.empty() && unit != "b" && unit != "B")
        number = 0;
    if (error != std::errc() || number == 0 || number > (std::uint64_t{1} << 30))
        throw HttpError(400, fmt::format("invalid max-size {:?} in LogConfig", text));
    return number << shift;
}

LogConfig read_log(const JsonObject& object) {
    LogConfig log;
    const std::string type = object.string("Type");
    if (type == "none")
        log.driver = LogConfig::Driver::none;
    else if (!type.empty() && type != "json-file")
        throw HttpError(400,
                        fmt::format("logger: no log driver named '{}' is registered: use json-file or none", type));
    for (const auto& [key, value] : string_map(object, "Config")) {
        if (key == "max-size") {
            log.maximum_size = parse_size(value);
        } else if (key == "max-file") {
            const auto count = parse_port(value);
            if (!count || *count == 0 || *count > 1000)
                throw HttpError(400, fmt::format("invalid max-file {:?} in LogConfig", value));
            log.maximum_files = *count;
        } else {
            throw HttpError(400, fmt::format("unknown log opt '{}' for json-file log driver", key));
        }
    }
    return log;
}

void read_security(const JsonObject& object, ContainerConfig& config) {
    config.cap_add = words(object, "CapAdd");
    config.cap_drop = words(object, "CapDrop");
    config.privileged = object.boolean("Privileged");
    config.read_only_rootfs = object.boolean("ReadonlyRootfs");
    for (const std::string& option : object.strings("SecurityOpt")) {
        // Old clients write "key:value".
        const std::size_t split = option.find_first_of("=:");
        const std::string key = option.substr(0, split);
        const std::string value = split == std::string::npos ? "" : option.substr(split + 1);
        if (key == "no-new-privileges" && (value.empty() || value == "true" || value == "false"))
            config.no_new_privileges = value != "false";
        else if (key == "seccomp" && value == "builtin")
            config.seccomp.clear();
        else if (key == "seccomp" && !value.empty())
            config.seccomp = value;
        else if (!((key == "apparmor" && value == "unconfined") || (key == "label" && value == "disable")))
            throw HttpError(400, fmt::format("invalid --security-opt: {:?} is not supported", option.substr(0, 100)));
    }
    if (object.has("MaskedPaths"))
        config.masked_paths = object.strings("MaskedPaths");
    if (object.has("ReadonlyPaths"))
        config.readonly_paths = object.strings("ReadonlyPaths");
}

std::string namespace_mode(const JsonObject& object, std::string_view key, bool containers_allowed) {
    const std::string mode = object.string(key);
    const bool container = mode.starts_with("container:") && mode.size() > 10;
    if (mode.empty() || mode == "private" || mode == "host" || (container && containers_allowed))
        return mode == "private" ? "" : mode;
    throw HttpError(400, fmt::format("invalid {}: {}", key, mode));
}

void read_devices(const JsonObject& object, ContainerConfig& config) {
    for (const base::json::value& item : object.array("Devices")) {
        const JsonObject device(item, "HostConfig.Devices");
        Device result{.host_path = device.string("PathOnHost"), .container_path = device.string("PathInContainer")};
        if (result.container_path.empty())
            result.container_path = result.host_path;
        if (const std::string permissions = device.string("CgroupPermissions"); !permissions.empty())
            result.permissions = permissions;
        if (!result.host_path.starts_with('/') || !result.container_path.starts_with('/') ||
            result.permissions.find_first_not_of("rwm") != std::string::npos)
            throw HttpError(400, fmt::format("invalid device {}:{}:{}", result.host_path, result.container_path,
                                             result.permissions));
        config.devices.push_back(std::move(result));
    }
    for (const base::json::value& item : object.array("Ulimits")) {
        const JsonObject limit(item, "HostConfig.Ulimits");
        config.ulimits.push_back(
            {.name = limit.string("Name"), .soft = limit.integer("Soft"), .hard = limit.integer("Hard")});
    }
}

/// Refuses what would be left out silently.
void refuse_unsupported(const JsonObject& object) {
    for (const char* key : {"Links", "VolumesFrom", "DeviceRequests", "DeviceCgroupRules", "BlkioWeightDevice",
                            "BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps"})
        if (!object.array(key).empty())
            throw HttpError(400, fmt::format("HostConfig.{} is not supported", key));
    for (const char* key : {"BlkioWeight", "CpuRealtimePeriod", "CpuRealtimeRuntime"})
        if (object.integer(key) != 0)
            throw HttpError(400, fmt::format("HostConfig.{} is not supported", key));
    for (const char* key : {"CgroupParent", "Cgroup", "Isolation", "UsernsMode", "Runtime", "VolumeDriver"}) {
        const std::string value = object.string(key);
        const bool plain = value.empty() || value == "default" ||
                           (std::string_view(key) == "UsernsMode" && value == "host") ||
                           (std::string_view(key) == "Runtime" && (value == "runc" || value == "ocirun")) ||
                           (std::string_view(key) == "VolumeDriver" && value == "local");
        if (!plain)
            throw HttpError(400, fmt::format("HostConfig.{}: {:?} is not supported", key, value));
    }
    if (const auto storage = object.object("StorageOpt"); storage && !storage->raw().empty())
        throw HttpError(400, "HostConfig.StorageOpt is not supported");
    if (object.boolean("OomKillDisable"))
        throw HttpError(400, "HostConfig.OomKillDisable is not supported: cgroup v2 has no such control");
}

void read_host_config(const JsonObject& object, CreateBody& body) {
    ContainerConfig& config = body.config;
    refuse_unsupported(object);
    if (const std::string mode = object.string("NetworkMode"); !mode.empty() && mode != "default")
        config.network_mode = mode;
    if (const auto restart = object.object("RestartPolicy"))
        config.restart = read_restart(*restart);
    config.auto_remove = object.boolean("AutoRemove");
    if (config.auto_remove && config.restart.kind != RestartPolicy::Kind::no)
        throw HttpError(400, "can't create 'AutoRemove' container with restart policy");
    read_security(object, config);
    config.pid_mode = namespace_mode(object, "PidMode", true);
    config.uts_mode = namespace_mode(object, "UTSMode", false);
    config.cgroup_mode = namespace_mode(object, "CgroupnsMode", false);
    // docker's "shareable" is "private" that others may join, and nobody can here.
    if (object.string("IpcMode") != "shareable")
        config.ipc_mode = namespace_mode(object, "IpcMode", false);
    config.dns = object.strings("Dns");
    config.dns_search = object.strings("DnsSearch");
    config.dns_options = object.strings("DnsOptions");
    config.extra_hosts = object.strings("ExtraHosts");
    config.additional_groups = object.strings("GroupAdd");
    config.init = object.boolean("Init");
    config.sysctls = string_map(object, "Sysctls");
    if (const std::int64_t size = object.integer("ShmSize"); size > 0)
        config.shm_size = size;
    else if (size < 0)
        throw HttpError(400, "SHM size can not be less than 0");
    config.oom_score_adj = object.integer("OomScoreAdj");
    if (config.oom_score_adj < -1000 || config.oom_score_adj > 1000)
        throw HttpError(
            400, fmt::format("Invalid value {}, range for oom score adj is [-1000, 1000]", config.oom_score_adj));
    if (const auto log = object.object("LogConfig"))
        config.log = read_log(*log);
    read_devices(object, config);
    read_resources(object, config.resources);
}

void read_networking(const JsonObject& object, ContainerConfig& config) {
    const auto networking = object.object("NetworkingConfig");
    const auto endpoints = networking ? networking->object("EndpointsConfig") : std::nullopt;
    if (!endpoints || endpoints->raw().empty())
        return;
    if (endpoints->raw().size() > 1)
        throw HttpError(400, "a container can be created on one network only; connecting it to more is not supported");
    for (const auto& member : endpoints->raw()) {
        const auto endpoint = endpoints->object(member.key());
        if (!endpoint)
            continue;
        if (const std::string mac = endpoint->string("MacAddress"); !mac.empty())
            config.mac = mac;
        if (const auto ipam = endpoint->object("IPAMConfig"))
            if (const std::string address = ipam->string("IPv4Address"); !address.empty())
                config.address = address;
    }
}

template <typename Body>
Body parse(std::string_view text, const std::function<Body(const JsonObject&)>& read) {
    // No field may hold a zero byte: what the kernel would see of it is something else than what was checked.
    if (text.find("\\u0000") != std::string_view::npos)
        throw HttpError(400, "request body: zero byte in a string");
    try {
        const base::json::value document = base::parse_json(text, "request body");
        return read(JsonObject(document, "request body"));
    } catch (const HttpError&) {
        throw;
    } catch (const base::Error& error) {
        throw HttpError(400, error.what());
    }
}

} // namespace

void check_environment(const std::vector<std::string>& env) {
    for (const std::string& variable : env) {
        const std::size_t equals = variable.find('=');
        if (equals == 0 || equals == std::string::npos || variable.find('\0') != std::string::npos)
            throw HttpError(
                400, fmt::format("invalid environment variable: {:?}: expected NAME=value", variable.substr(0, 64)));
    }
}

CreateBody parse_create_body(std::string_view text) {
    return parse<CreateBody>(text, [&](const JsonObject& object) {
        CreateBody body;
        read_config(object, body.config);
        const auto host_config = object.object("HostConfig");
        if (host_config)
            read_host_config(*host_config, body);
        read_networking(object, body.config);
        add_mounts(object, host_config ? &*host_config : nullptr, body);
        read_ports(object, host_config ? &*host_config : nullptr, body);
        body.config.api_data = base::json::serialize(object.raw());
        return body;
    });
}

UpdateBody parse_update_body(std::string_view text, const Resources& current) {
    return parse<UpdateBody>(text, [&](const JsonObject& object) {
        UpdateBody body;
        // The client sends every field; 0 and "" are "not named".
        base::json::object named;
        for (const auto& member : object.raw()) {
            const bool number_zero = member.value().is_int64() && member.value().as_int64() == 0;
            const bool empty_text = member.value().is_string() && member.value().as_string().empty();
            if (!number_zero && !empty_text)
                named[member.key()] = member.value();
        }
        const base::json::value named_value(std::move(named));
        Resources resources = current;
        read_resources(JsonObject(named_value, object.name()), resources);
        if (!(resources == current))
            body.resources = resources;
        const auto restart = object.object("RestartPolicy");
        if (restart && !restart->string("Name").empty())
            body.restart = read_restart(*restart);
        return body;
    });
}

} // namespace engine::api
