// docker inspect of a container.
#include "api/container_json.hpp"
#include "api/directory_size.hpp"
#include "api/routes.hpp"
#include "api/time_text.hpp"

namespace engine::api {
namespace {

json::value health_json(const ContainerState& state) {
    if (state.health == Health::none)
        return nullptr;
    json::array log;
    for (const HealthCheckResult& result : state.health_log)
        log.push_back(json::object{{"Start", rfc3339(result.start)},
                                   {"End", rfc3339(result.end)},
                                   {"ExitCode", result.exit_code},
                                   {"Output", result.output}});
    return json::object{
        {"Status", to_string(state.health)}, {"FailingStreak", state.failing_streak}, {"Log", std::move(log)}};
}

json::object state_json(const ContainerState& state) {
    json::object result{{"Status", to_string(state.status)},
                        {"Running", state.running() || state.status == Status::restarting},
                        {"Paused", state.status == Status::paused},
                        {"Restarting", state.status == Status::restarting},
                        {"OOMKilled", state.oom_killed},
                        {"Dead", state.status == Status::dead},
                        {"Pid", state.pid},
                        {"ExitCode", state.exit_code},
                        {"Error", state.error},
                        {"StartedAt", rfc3339(state.started)},
                        {"FinishedAt", rfc3339(state.finished)}};
    if (json::value health = health_json(state); !health.is_null())
        result["Health"] = std::move(health);
    return result;
}

json::object health_config_json(const HealthConfig& health) {
    json::array test{health.kind == HealthConfig::Kind::command ? "CMD" : "CMD-SHELL"};
    for (const std::string& word : health.command)
        test.emplace_back(word);
    const auto nanoseconds = [](std::chrono::milliseconds time) {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
    };
    return json::object{{"Test", std::move(test)},
                        {"Interval", nanoseconds(health.interval)},
                        {"Timeout", nanoseconds(health.timeout)},
                        {"StartPeriod", nanoseconds(health.start_period)},
                        {"Retries", health.retries}};
}

json::object config_json(const ContainerInfo& info) {
    const ContainerConfig& config = *info.config;
    const json::object body = original_body(config);
    const auto flag = [&](const char* key) {
        const json::value* value = body.if_contains(key);
        return value != nullptr && value->is_bool() && value->as_bool();
    };
    json::object result{{"Hostname", config.hostname.empty() ? info.id.substr(0, 12) : config.hostname},
                        {"Domainname", config.domainname},
                        {"User", config.user},
                        {"AttachStdin", flag("AttachStdin")},
                        {"AttachStdout", flag("AttachStdout")},
                        {"AttachStderr", flag("AttachStderr")},
                        {"Tty", config.tty},
                        {"OpenStdin", config.open_stdin},
                        {"StdinOnce", config.stdin_once},
                        {"Env", to_json(config.env)},
                        {"Cmd", list_or_null(config.command)},
                        {"Image", config.image},
                        {"WorkingDir", config.working_directory},
                        {"Entrypoint", list_or_null(config.entrypoint)},
                        {"OnBuild", nullptr},
                        {"Labels", to_json(config.labels)}};
    for (const char* key : {"ExposedPorts", "Volumes"})
        if (const json::value* value = body.if_contains(key); value != nullptr && value->is_object())
            result[key] = *value;
    if (!config.stop_signal.empty())
        result["StopSignal"] = config.stop_signal;
    if (config.stop_timeout)
        result["StopTimeout"] = *config.stop_timeout;
    if (config.health.kind != HealthConfig::Kind::none)
        result["Healthcheck"] = health_config_json(config.health);
    return result;
}

json::object network_settings_json(const Context& context, const ContainerInfo& info) {
    json::object ports;
    for (const NetworkEndpoint& endpoint : info.endpoints)
        for (const PublishedPort& port : endpoint.ports) {
            json::value& list = ports[fmt::format("{}/{}", port.container_port, port.protocol)];
            if (!list.is_array())
                list = json::array();
            list.as_array().push_back(
                json::object{{"HostIp", port.host_address.empty() ? "0.0.0.0" : port.host_address},
                             {"HostPort", std::to_string(port.host_port)}});
        }
    const NetworkEndpoint first = info.endpoints.empty() ? NetworkEndpoint{} : info.endpoints.front();
    return json::object{{"Bridge", ""},
                        {"SandboxID", ""},
                        {"SandboxKey", info.state.pid > 0 ? fmt::format("/proc/{}/ns/net", info.state.pid) : ""},
                        {"Ports", std::move(ports)},
                        {"EndpointID", first.endpoint_id},
                        {"Gateway", first.gateway},
                        {"IPAddress", first.address},
                        {"IPPrefixLen", first.prefix_length},
                        {"MacAddress", first.mac},
                        {"GlobalIPv6Address", ""},
                        {"GlobalIPv6PrefixLen", 0},
                        {"IPv6Gateway", ""},
                        {"Networks", networks_json(context, info)}};
}

json::object graph_driver_json(const ContainerInfo& info) {
    std::string lower;
    for (const std::string& directory : info.lower_directories)
        lower += (lower.empty() ? "" : ":") + directory;
    return json::object{{"Name", "overlay2"},
                        {"Data", json::object{{"LowerDir", lower},
                                              {"UpperDir", info.directory + "/upper"},
                                              {"WorkDir", info.directory + "/work"},
                                              {"MergedDir", info.directory + "/rootfs"}}}};
}

void inspect(Call& call) {
    const ContainerInfo info = call.context.engine.get(call.parameter());
    const ContainerConfig& config = *info.config;
    std::vector<std::string> argv = config.entrypoint;
    argv.insert(argv.end(), config.command.begin(), config.command.end());
    json::object result{{"Id", info.id},
                        {"Created", rfc3339(info.created)},
                        {"Path", argv.empty() ? "" : argv.front()},
                        {"Args", to_json(std::vector<std::string>(argv.begin() + (argv.empty() ? 0 : 1), argv.end()))},
                        {"State", state_json(info.state)},
                        {"Image", config.image_id},
                        {"ResolvConfPath", info.directory + "/resolv.conf"},
                        {"HostnamePath", info.directory + "/hostname"},
                        {"HostsPath", info.directory + "/hosts"},
                        {"LogPath", config.log.driver == LogConfig::Driver::none ? "" : info.log_path},
                        {"Name", "/" + info.name},
                        {"RestartCount", info.state.restart_count},
                        {"Driver", "overlay2"},
                        {"Platform", "linux"},
                        {"MountLabel", ""},
                        {"ProcessLabel", ""},
                        {"AppArmorProfile", ""},
                        {"ExecIDs", nullptr},
                        {"HostConfig", host_config_json(info)},
                        {"GraphDriver", graph_driver_json(info)},
                        {"Mounts", mounts_json(config)},
                        {"Config", config_json(info)},
                        {"NetworkSettings", network_settings_json(call.context, info)}};
    if (call.request.query_flag("size")) {
        const std::int64_t written = directory_size(info.directory + "/upper");
        const auto image = call.context.images.find(config.image_id);
        result["SizeRw"] = written;
        result["SizeRootFs"] = written + (image ? static_cast<std::int64_t>(image->size) : 0);
    }
    send_json(call, 200, result);
}

} // namespace

void add_inspect_routes(Router& router) {
    router.add("GET", "containers/{}/json", inspect);
}

} // namespace engine::api
