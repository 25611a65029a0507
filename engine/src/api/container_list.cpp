// docker ps.
#include "api/container_json.hpp"
#include "api/directory_size.hpp"
#include "api/filters.hpp"
#include "api/routes.hpp"
#include "api/time_text.hpp"

namespace engine::api {
namespace {

constexpr const char* system_label = "atoll.system";

json::array ports_json(const ContainerInfo& info) {
    json::array ports;
    for (const NetworkEndpoint& endpoint : info.endpoints)
        for (const PublishedPort& port : endpoint.ports)
            ports.push_back(json::object{{"IP", port.host_address.empty() ? "0.0.0.0" : port.host_address},
                                         {"PrivatePort", port.container_port},
                                         {"PublicPort", port.host_port},
                                         {"Type", port.protocol}});
    return ports;
}

std::string command_text(const ContainerConfig& config) {
    std::string text;
    for (const auto* part : {&config.entrypoint, &config.command})
        for (const std::string& word : *part)
            text += (text.empty() ? "" : " ") + word;
    return text;
}

json::object summary(const Context& context, const ContainerInfo& info, bool with_size) {
    const ContainerConfig& config = *info.config;
    json::object item{{"Id", info.id},
                      {"Names", json::array{"/" + info.name}},
                      {"Image", config.image.empty() ? "(host)" : config.image},
                      {"ImageID", config.image_id},
                      {"Command", command_text(config)},
                      {"Created", unix_seconds(info.created)},
                      {"Ports", ports_json(info)},
                      {"Labels", to_json(config.labels)},
                      {"State", to_string(info.state.status)},
                      {"Status", status_text(info.state, std::chrono::system_clock::now())},
                      {"HostConfig", json::object{{"NetworkMode", config.network_mode}}},
                      {"NetworkSettings", json::object{{"Networks", networks_json(context, info)}}},
                      {"Mounts", mounts_json(config)}};
    if (with_size) {
        item["SizeRw"] = directory_size(info.directory + "/upper");
        const auto image = context.images.find(config.image_id);
        item["SizeRootFs"] = item["SizeRw"].as_int64() + (image ? static_cast<std::int64_t>(image->size) : 0);
    }
    return item;
}

/// `ancestor`: a name or id of the image, or of one it was made from, which is not known here.
bool allows_ancestor(const Context& context, const Filters& filters, const ContainerConfig& config) {
    if (!filters.has("ancestor"))
        return true;
    const auto& wanted = filters.values("ancestor");
    return std::any_of(wanted.begin(), wanted.end(), [&](const std::string& name) {
        if (name == config.image)
            return true;
        const auto image = context.images.find(name);
        return image && image->info.id == config.image_id;
    });
}

bool allows(const Context& context, const Filters& filters, const ContainerInfo& info) {
    const ContainerConfig& config = *info.config;
    bool volume_fits = !filters.has("volume");
    for (const ContainerMount& mount : config.mounts)
        volume_fits =
            volume_fits || filters.allows("volume", mount.volume_name) || filters.allows("volume", mount.target);
    bool network_fits = filters.allows("network", config.network_mode);
    for (const NetworkEndpoint& endpoint : info.endpoints)
        network_fits = network_fits || filters.allows("network", endpoint.network) ||
                       filters.allows("network", endpoint.network_id);
    return filters.allows_prefix("id", info.id) && filters.allows_part("name", "/" + info.name) &&
           filters.allows("status", to_string(info.state.status)) &&
           filters.allows("health", to_string(info.state.health)) &&
           filters.allows("exited", std::to_string(info.state.exit_code)) &&
           (!filters.has("exited") || info.state.status == Status::exited) && filters.allows_labels(config.labels) &&
           volume_fits && network_fits && allows_ancestor(context, filters, config);
}

/// Nobody sees system containers who did not ask for them: `docker rm -f $(docker ps -aq)` must not name them.
bool shows_system(const Call& call, const Filters& filters, bool all) {
    if (call.caller.may_change_system && all)
        return true;
    const auto& labels = filters.values("label");
    return std::any_of(labels.begin(), labels.end(), [](const std::string& label) {
        return label == system_label || label.starts_with(std::string(system_label) + "=");
    });
}

/// Drops everything but what was created before (or after) the container a filter names.
void apply_before_since(const Call& call, const Filters& filters, std::vector<ContainerInfo>& list) {
    for (const std::string& name : filters.values("before")) {
        const TimePoint limit = call.context.engine.get(name).created;
        std::erase_if(list, [&](const ContainerInfo& info) { return info.created >= limit; });
    }
    for (const std::string& name : filters.values("since")) {
        const TimePoint limit = call.context.engine.get(name).created;
        std::erase_if(list, [&](const ContainerInfo& info) { return info.created <= limit; });
    }
}

void list(Call& call) {
    const Filters filters = Filters::parse(call.request.query_value("filters"));
    filters.expect({"ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name",
                    "network", "publish", "since", "status", "volume"});
    const unsigned limit = query_number(call.request, "limit", 0);
    const bool all = call.request.query_flag("all") || limit > 0;
    const bool any_state = all || filters.has("status") || filters.has("exited");
    const bool with_system = shows_system(call, filters, all);
    std::vector<ContainerInfo> containers = call.context.engine.list();
    apply_before_since(call, filters, containers);
    json::array result;
    for (const ContainerInfo& info : containers) {
        const bool shown = (any_state || info.state.running() || info.state.status == Status::restarting) &&
                           (with_system || !info.system());
        if (!shown || !allows(call.context, filters, info))
            continue;
        result.push_back(summary(call.context, info, call.request.query_flag("size")));
        if (limit > 0 && result.size() == limit)
            break;
    }
    send_json(call, 200, result);
}

} // namespace

void add_list_routes(Router& router) {
    router.add("GET", "containers/json", list);
}

} // namespace engine::api
