#include "api/container_json.hpp"

#include "base/log.hpp"

namespace engine::api {
namespace {

json::object port_bindings_json(const std::vector<PublishedPort>& ports) {
    json::object bindings;
    for (const PublishedPort& port : ports) {
        json::value& list = bindings[fmt::format("{}/{}", port.container_port, port.protocol)];
        if (!list.is_array())
            list = json::array();
        list.as_array().push_back(json::object{
            {"HostIp", port.host_address}, {"HostPort", port.host_port == 0 ? "" : std::to_string(port.host_port)}});
    }
    return bindings;
}

std::string network_mode(const ContainerConfig& config) {
    return config.network_mode.empty() ? "bridge" : config.network_mode;
}

/// What a client that sent nothing would have got.
json::object made_host_config(const ContainerConfig& config) {
    json::array binds;
    for (const ContainerMount& mount : config.mounts)
        if (mount.type != ContainerMount::Type::tmpfs)
            binds.emplace_back(fmt::format("{}:{}{}", mount.volume_name.empty() ? mount.source : mount.volume_name,
                                           mount.target, mount.read_only ? ":ro" : ""));
    return json::object{{"Binds", std::move(binds)},
                        {"CapAdd", list_or_null(config.cap_add)},
                        {"CapDrop", list_or_null(config.cap_drop)},
                        {"Dns", to_json(config.dns)},
                        {"DnsOptions", to_json(config.dns_options)},
                        {"DnsSearch", to_json(config.dns_search)},
                        {"ExtraHosts", list_or_null(config.extra_hosts)},
                        {"GroupAdd", list_or_null(config.additional_groups)},
                        {"PortBindings", port_bindings_json(config.ports)},
                        {"Privileged", config.privileged},
                        {"ReadonlyRootfs", config.read_only_rootfs || config.host_rootfs},
                        {"SecurityOpt", nullptr}};
}

} // namespace

json::object original_body(const ContainerConfig& config) {
    if (config.api_data.empty())
        return {};
    try {
        json::value body = base::parse_json(config.api_data, "api_data");
        if (body.is_object())
            return std::move(body.as_object());
    } catch (const base::Error& error) {
        base::log_warning("container has a damaged request saved: {}", error.what());
    }
    return {};
}

json::object host_config_json(const ContainerInfo& info) {
    const ContainerConfig& config = *info.config;
    json::object result = made_host_config(config);
    const json::object body = original_body(config);
    if (const json::value* given = body.if_contains("HostConfig"); given != nullptr && given->is_object())
        for (const auto& member : given->as_object())
            result[member.key()] = member.value();
    result["NetworkMode"] = network_mode(config);
    result["AutoRemove"] = config.auto_remove;
    result["RestartPolicy"] =
        json::object{{"Name", to_string(config.restart.kind)}, {"MaximumRetryCount", config.restart.maximum_retries}};
    const Resources& resources = config.resources;
    result["Memory"] = resources.memory;
    result["MemorySwap"] = resources.memory_swap;
    result["MemoryReservation"] = resources.memory_reservation;
    result["NanoCpus"] = resources.nano_cpus;
    result["CpuShares"] = resources.cpu_shares;
    result["CpuQuota"] = resources.cpu_quota;
    result["CpuPeriod"] = resources.cpu_period;
    result["CpusetCpus"] = resources.cpuset_cpus;
    result["CpusetMems"] = resources.cpuset_mems;
    result["PidsLimit"] = resources.pids_limit == 0 ? json::value(nullptr) : json::value(resources.pids_limit);
    result["ShmSize"] = config.shm_size;
    result["PidMode"] = config.pid_mode;
    result["UTSMode"] = config.uts_mode;
    result["IpcMode"] = config.ipc_mode.empty() ? "private" : config.ipc_mode;
    result["CgroupnsMode"] = config.cgroup_mode.empty() ? "private" : config.cgroup_mode;
    result["Runtime"] = "ocirun";
    const bool no_log = config.log.driver == LogConfig::Driver::none;
    json::object log_options;
    if (!no_log)
        log_options = {{"max-size", std::to_string(config.log.maximum_size)},
                       {"max-file", std::to_string(config.log.maximum_files)}};
    result["LogConfig"] = json::object{{"Type", no_log ? "none" : "json-file"}, {"Config", std::move(log_options)}};
    return result;
}

json::array mounts_json(const ContainerConfig& config) {
    json::array mounts;
    for (const ContainerMount& mount : config.mounts) {
        const bool volume = mount.type == ContainerMount::Type::volume;
        const bool tmpfs = mount.type == ContainerMount::Type::tmpfs;
        json::object item{{"Type", volume ? "volume" : tmpfs ? "tmpfs" : "bind"}};
        if (volume) {
            item["Name"] = mount.volume_name;
            item["Driver"] = "local";
        }
        item["Source"] = mount.source;
        item["Destination"] = mount.target;
        item["Mode"] = "";
        item["RW"] = !mount.read_only;
        item["Propagation"] = tmpfs || volume ? "" : mount.propagation.empty() ? "rprivate" : mount.propagation;
        mounts.push_back(std::move(item));
    }
    return mounts;
}

json::object networks_json(const Context& context, const ContainerInfo& info) {
    json::object networks;
    const auto add = [&](const std::string& name, const NetworkEndpoint& endpoint) {
        networks[name] = json::object{{"IPAMConfig", nullptr},
                                      {"Links", nullptr},
                                      {"Aliases", nullptr},
                                      {"DriverOpts", nullptr},
                                      {"NetworkID", endpoint.network_id},
                                      {"EndpointID", endpoint.endpoint_id},
                                      {"Gateway", endpoint.gateway},
                                      {"IPAddress", endpoint.address},
                                      {"IPPrefixLen", endpoint.prefix_length},
                                      {"IPv6Gateway", ""},
                                      {"GlobalIPv6Address", ""},
                                      {"GlobalIPv6PrefixLen", 0},
                                      {"MacAddress", endpoint.mac}};
    };
    for (const NetworkEndpoint& endpoint : info.endpoints)
        add(endpoint.network, endpoint);
    const std::string mode = network_mode(*info.config);
    if (networks.empty() && !mode.starts_with("container:")) {
        NetworkEndpoint none;
        if (const auto network = context.networks.find(mode))
            none.network_id = network->id;
        add(mode, none);
    }
    return networks;
}

} // namespace engine::api
