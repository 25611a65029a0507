#include "core/oci_config.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <filesystem>

#include "base/json.hpp"
#include "core/oci_parts.hpp"
#include "core/seccomp_profile.hpp"
#include "engine/capabilities.hpp"

namespace engine {

namespace json = base::json;

namespace {

json::array strings(const std::vector<std::string>& values) {
    json::array array;
    for (const std::string& value : values)
        array.emplace_back(value);
    return array;
}

json::object capability_sets(const std::set<std::string>& capabilities) {
    json::array list;
    for (const std::string& capability : capabilities)
        list.emplace_back(capability);
    // Neither inheritable nor ambient: a program that is not root keeps nothing over exec.
    return {{"bounding", list}, {"effective", list}, {"permitted", list}};
}

json::object user_object(const ContainerUser& user) {
    json::array groups;
    for (const gid_t group : user.additional_groups)
        groups.emplace_back(group);
    return {{"uid", user.uid}, {"gid", user.gid}, {"additionalGids", std::move(groups)}};
}

json::object process_object(const ContainerConfig& config, const std::vector<std::string>& arguments,
                            std::vector<std::string> environment, const std::string& directory, bool tty,
                            const ContainerUser& user, const std::set<std::string>& capabilities) {
    json::array limits;
    for (const Ulimit& limit : config.ulimits) {
        std::string name = "RLIMIT_";
        for (const char c : limit.name)
            name += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
        limits.push_back(json::object{{"type", name},
                                      {"soft", static_cast<std::uint64_t>(limit.soft)},
                                      {"hard", static_cast<std::uint64_t>(limit.hard)}});
    }
    return {{"terminal", tty},
            {"user", user_object(user)},
            {"args", strings(arguments)},
            {"env", strings(environment)},
            {"cwd", directory.empty() ? "/" : directory},
            {"capabilities", capability_sets(capabilities)},
            {"rlimits", std::move(limits)},
            {"noNewPrivileges", config.no_new_privileges},
            {"oomScoreAdj", config.oom_score_adj}};
}

json::array namespaces(const OciInput& input) {
    const ContainerConfig& config = *input.config;
    json::array list{json::object{{"type", "mount"}}};
    const auto add = [&](const char* type, bool own, const std::string& path = {}) {
        if (!path.empty())
            list.push_back(json::object{{"type", type}, {"path", path}});
        else if (own)
            list.push_back(json::object{{"type", type}});
    };
    add("network", config.network_mode != "host", input.network_namespace);
    add("pid", config.pid_mode != "host", input.pid_namespace);
    add("ipc", config.ipc_mode != "host");
    add("uts", config.uts_mode != "host");
    add("cgroup", config.cgroup_mode != "host");
    return list;
}

std::vector<std::string> default_masked_paths() {
    return {"/proc/acpi",
            "/proc/asound",
            "/proc/interrupts",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/sched_debug",
            "/proc/scsi",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/sys/devices/virtual/powercap",
            "/sys/firmware"};
}

std::vector<std::string> default_readonly_paths() {
    return {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
}

json::object sysctls(const ContainerConfig& config) {
    json::object result;
    if (config.network_mode != "host" && !config.network_mode.starts_with("container:")) {
        // In a network of its own a program needs no capability for a low port or for ping.
        result["net.ipv4.ip_unprivileged_port_start"] = "0";
        result["net.ipv4.ping_group_range"] = "0 2147483647";
    }
    for (const auto& [name, value] : config.sysctls)
        result[name] = value;
    return result;
}

json::object linux_object(const OciInput& input, const std::set<std::string>& capabilities) {
    const ContainerConfig& config = *input.config;
    DeviceList devices = container_devices(config);
    json::object resources = resource_object(config.resources);
    resources["devices"] = std::move(devices.rules);
    json::object out{{"namespaces", namespaces(input)},
                     {"devices", std::move(devices.devices)},
                     {"resources", std::move(resources)},
                     {"sysctl", sysctls(config)},
                     {"rootfsPropagation", "rprivate"}};
    if (!input.cgroups_path.empty())
        out["cgroupsPath"] = input.cgroups_path;
    if (!config.privileged) {
        out["maskedPaths"] = strings(config.masked_paths.value_or(default_masked_paths()));
        out["readonlyPaths"] = strings(config.readonly_paths.value_or(default_readonly_paths()));
    }
    if (config.seccomp.empty() && !config.privileged)
        out["seccomp"] = default_seccomp_profile(capabilities);
    else if (!config.seccomp.empty() && config.seccomp != "unconfined")
        out["seccomp"] = base::parse_json(config.seccomp, "seccomp profile");
    return out;
}

std::vector<std::string> arguments_of(const ContainerConfig& config) {
    std::vector<std::string> arguments = config.entrypoint;
    arguments.insert(arguments.end(), config.command.begin(), config.command.end());
    return arguments;
}

bool names_variable(const std::vector<std::string>& environment, std::string_view name) {
    return std::any_of(environment.begin(), environment.end(), [&](const std::string& entry) {
        return entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=';
    });
}

} // namespace

const std::set<std::string>& default_capabilities() {
    static const std::set<std::string> capabilities = {
        "CAP_AUDIT_WRITE", "CAP_CHOWN",   "CAP_DAC_OVERRIDE",     "CAP_FOWNER",    "CAP_FSETID",
        "CAP_KILL",        "CAP_MKNOD",   "CAP_NET_BIND_SERVICE", "CAP_NET_RAW",   "CAP_SETFCAP",
        "CAP_SETGID",      "CAP_SETPCAP", "CAP_SETUID",           "CAP_SYS_CHROOT"};
    return capabilities;
}

std::set<std::string> effective_capabilities(const ContainerConfig& config) {
    const std::set<std::string> all(capability_names.begin(), capability_names.end());
    const auto canonical = [&](const std::string& text) {
        std::string name;
        for (const char c : text)
            name += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
        if (name == "ALL")
            return name;
        if (!name.starts_with("CAP_"))
            name = "CAP_" + name;
        if (!all.contains(name))
            throw EngineError(ErrorKind::invalid, "unknown capability: " + text);
        return name;
    };
    if (config.privileged)
        return all;
    std::set<std::string> result = config.only_capabilities ? std::set<std::string>{} : default_capabilities();
    std::set<std::string> added, dropped;
    for (const std::string& text : config.cap_add)
        added.insert(canonical(text));
    for (const std::string& text : config.cap_drop)
        dropped.insert(canonical(text));
    if (dropped.contains("ALL"))
        result.clear();
    if (added.contains("ALL"))
        result = all;
    for (const std::string& name : added)
        if (name != "ALL")
            result.insert(name);
    for (const std::string& name : dropped)
        result.erase(name);
    return result;
}

std::vector<std::string> container_environment(const ContainerConfig& config, const std::string& hostname,
                                               const ContainerUser& user) {
    std::vector<std::string> environment;
    const auto add = [&](std::string_view name, std::string_view value) {
        if (!names_variable(config.env, name))
            environment.push_back(std::string(name) + "=" + std::string(value));
    };
    add("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    add("HOSTNAME", hostname);
    if (config.tty)
        add("TERM", "xterm");
    for (const std::string& entry : config.env)
        if (entry.find('=') != std::string::npos)
            environment.push_back(entry);
    add("HOME", user.home);
    return environment;
}

std::string make_oci_config(const OciInput& input) {
    const ContainerConfig& config = *input.config;
    const std::set<std::string> capabilities = effective_capabilities(config);
    json::object document{
        {"ociVersion", "1.1.0"},
        {"process",
         process_object(config, arguments_of(config), container_environment(config, input.hostname, input.user),
                        config.working_directory, config.tty, input.user, capabilities)},
        {"root", json::object{{"path", input.rootfs}, {"readonly", config.read_only_rootfs || config.host_rootfs}}},
        {"mounts", container_mounts(config, input.directory)},
        {"linux", linux_object(input, capabilities)}};
    if (config.uts_mode != "host") {
        document["hostname"] = input.hostname;
        if (!config.domainname.empty())
            document["domainname"] = config.domainname;
    }
    return json::serialize(document);
}

std::string make_oci_process(const ContainerConfig& config, const ExecConfig& exec, const std::string& hostname,
                             const ContainerUser& user) {
    ContainerConfig changed = config;
    changed.tty = exec.tty;
    changed.privileged = config.privileged || exec.privileged;
    std::vector<std::string> environment = container_environment(changed, hostname, user);
    environment.insert(environment.end(), exec.env.begin(), exec.env.end());
    const std::string& directory = exec.working_directory.empty() ? config.working_directory : exec.working_directory;
    return json::serialize(process_object(changed, exec.command, std::move(environment), directory, exec.tty, user,
                                          effective_capabilities(changed)));
}

std::string make_oci_resources(const Resources& resources) {
    return json::serialize(resource_object(resources));
}

} // namespace engine
