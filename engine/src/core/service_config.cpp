#include "core/service_config.hpp"

#include <set>

#include "base/config_reader.hpp"
#include "core/identity.hpp"

namespace engine {
namespace {

using base::ConfigMap;

bool absolute_path(const std::string& path) {
    return path.size() > 1 && path.front() == '/' && path.find("/../") == std::string::npos && !path.ends_with("/..");
}

ServiceMount read_mount(ConfigMap& map) {
    ServiceMount mount;
    mount.type = map.optional_string("type").value_or("bind");
    if (mount.type != "bind" && mount.type != "tmpfs")
        map.problem("type: must be bind or tmpfs");
    if (mount.type == "bind") {
        mount.source = map.required_string("source");
        if (!mount.source.empty() && mount.source != "/" && !absolute_path(mount.source))
            map.problem("source: must be an absolute path");
    }
    mount.target = map.required_string("target");
    if (!mount.target.empty() && !absolute_path(mount.target))
        map.problem("target: must be an absolute path, and not /");
    static const std::set<std::string> known = {"bind",   "rbind",   "ro",       "rw",    "nosuid", "nodev",  "noexec",
                                                "rslave", "rshared", "rprivate", "slave", "shared", "private"};
    mount.options = map.optional_strings("options");
    for (const std::string& option : mount.options)
        if (!known.contains(option) &&
            !(mount.type == "tmpfs" && (option.starts_with("size=") || option.starts_with("mode="))))
            map.problem("options: unknown option \"" + option + "\"");
    map.finish();
    return mount;
}

HealthConfig read_health(ConfigMap& map) {
    using std::chrono::milliseconds;
    HealthConfig health;
    health.kind = HealthConfig::Kind::command;
    health.command = map.required_strings("command");
    if (health.command.empty())
        map.problem("command: must not be empty");
    health.interval = map.optional_duration("interval").value_or(milliseconds(10'000));
    health.timeout = map.optional_duration("timeout").value_or(milliseconds(5'000));
    health.start_period = map.optional_duration("start_period").value_or(milliseconds(0));
    health.retries = static_cast<unsigned>(map.optional_int("retries", 1, 100).value_or(3));
    if (health.interval < milliseconds(100) || health.timeout < milliseconds(100))
        map.problem("interval and timeout: must be at least 100ms");
    map.finish();
    return health;
}

void read_root(ConfigMap& root, ServiceConfig& service) {
    const auto rootfs = root.optional_string("rootfs");
    service.image = root.optional_string("image").value_or("");
    if (rootfs && *rootfs != "host")
        root.problem("rootfs: must be host");
    if (rootfs.has_value() == !service.image.empty())
        root.problem("exactly one of rootfs and image must be given");
    service.command = service.image.empty() ? root.required_strings("command") : root.optional_strings("command");
    if (service.image.empty() && service.command.empty())
        root.problem("command: must not be empty");
}

void read_isolation(ConfigMap& root, ServiceConfig& service) {
    service.network = root.optional_string("network").value_or("none");
    if (service.network != "host" && service.network != "none")
        root.problem("network: must be host or none");
    if (const auto pid = root.optional_string("pid")) {
        service.host_pid = *pid == "host";
        if (!service.host_pid)
            root.problem("pid: must be host");
    }
    service.user = root.optional_string("user").value_or("");
    service.capabilities = root.optional_strings("capabilities");
    for (const std::string& capability : service.capabilities)
        if (!capability.starts_with("CAP_"))
            root.problem("capabilities: \"" + capability + "\" does not begin with CAP_");
    service.devices = root.optional_strings("devices");
    for (const std::string& device : service.devices)
        if (!device.starts_with("/dev/") || !absolute_path(device))
            root.problem("devices: \"" + device + "\" is not below /dev");
    const std::string seccomp = root.optional_string("seccomp").value_or("default");
    service.seccomp = seccomp == "default";
    if (seccomp != "default" && seccomp != "unconfined")
        root.problem("seccomp: must be default or unconfined");
}

ServiceConfig read_service(ConfigMap root) {
    ServiceConfig service;
    service.name = root.required_string("name");
    if (!service.name.empty() && (!valid_container_name(service.name) || service.name.size() > 64))
        root.problem("name: must be letters, digits, '_', '.' and '-', and begin with a letter or digit");
    service.description = root.optional_string("description").value_or("");
    read_root(root, service);
    service.required = root.optional_bool("required").value_or(false);
    service.after = root.optional_strings("after");
    const std::string restart = root.optional_string("restart").value_or("always");
    if (const auto kind = parse_restart_policy(restart); kind && restart != "unless-stopped" && !restart.empty())
        service.restart.kind = *kind;
    else
        root.problem("restart: must be no, on-failure or always");
    read_isolation(root, service);
    for (ConfigMap& mount : root.optional_maps("mounts"))
        service.mounts.push_back(read_mount(mount));
    if (auto environment = root.optional_map("environment"))
        for (const auto& [name, value] : environment->rest())
            service.environment[name] = value.as_string();
    service.memory_min = root.optional_size("memory_min").value_or(0);
    service.memory_max = root.optional_size("memory_max").value_or(0);
    if (service.memory_max != 0 && service.memory_min > service.memory_max)
        root.problem("memory_min: is more than memory_max");
    service.stop_timeout = root.optional_duration("stop_timeout").value_or(std::chrono::milliseconds(10'000));
    if (auto health = root.optional_map("health"))
        service.health = read_health(*health);
    root.finish();
    return service;
}

} // namespace

ServiceConfig parse_service(std::string_view text, const std::string& name) {
    base::ConfigDocument document = base::ConfigDocument::from_text(text, name);
    ServiceConfig service = read_service(document.root());
    document.throw_problems();
    return service;
}

ServiceConfig load_service(const std::string& path) {
    base::ConfigDocument document = base::ConfigDocument::from_file(path);
    ServiceConfig service = read_service(document.root());
    document.throw_problems();
    return service;
}

std::vector<ServiceConfig> order_services(std::vector<ServiceConfig> services, std::vector<std::string>& problems) {
    std::sort(services.begin(), services.end(),
              [](const ServiceConfig& a, const ServiceConfig& b) { return a.name < b.name; });
    std::set<std::string> names, placed;
    for (const ServiceConfig& service : services)
        names.insert(service.name);
    for (ServiceConfig& service : services)
        std::erase_if(service.after, [&](const std::string& other) {
            if (names.contains(other))
                return false;
            problems.push_back(service.name + ": after: there is no service " + other);
            return true;
        });
    std::vector<ServiceConfig> ordered;
    while (!services.empty()) {
        auto next = std::find_if(services.begin(), services.end(), [&](const ServiceConfig& service) {
            return std::all_of(service.after.begin(), service.after.end(),
                               [&](const std::string& other) { return placed.contains(other); });
        });
        if (next == services.end()) {
            next = services.begin();
            problems.push_back(next->name + ": after: services wait for each other; it is started without waiting");
            next->after.clear();
        }
        placed.insert(next->name);
        ordered.push_back(std::move(*next));
        services.erase(next);
    }
    return ordered;
}

} // namespace engine
