#include "core/image_defaults.hpp"

#include <random>
#include <set>

#include "core/identity.hpp"
#include "core/oci_config.hpp"
#include "engine/engine.hpp"

namespace engine {

void apply_image_defaults(ContainerConfig& config, const ImageInfo& image) {
    config.image_id = image.id;
    const ImageConfig& from = image.config;
    if (config.entrypoint == std::vector<std::string>{""}) {
        config.entrypoint.clear();
    } else if (config.entrypoint.empty()) {
        config.entrypoint = from.entrypoint;
        if (config.command.empty())
            config.command = from.command;
    }
    std::set<std::string> named;
    for (const std::string& entry : config.env)
        named.insert(entry.substr(0, entry.find('=')));
    std::vector<std::string> env;
    for (const std::string& entry : from.env)
        if (!named.contains(entry.substr(0, entry.find('='))))
            env.push_back(entry);
    env.insert(env.end(), config.env.begin(), config.env.end());
    config.env = std::move(env);
    if (config.working_directory.empty())
        config.working_directory = from.working_directory;
    if (config.user.empty())
        config.user = from.user;
    for (const auto& [name, value] : from.labels)
        if (name != system_label) // an image does not make a container part of the system
            config.labels.emplace(name, value);
    if (config.stop_signal.empty())
        config.stop_signal = from.stop_signal;
    if (config.health.kind == HealthConfig::Kind::none && config.health.command.empty())
        config.health = from.health;
    config.image_volumes = from.volumes;
}

bool names_network(const ContainerConfig& config) {
    const std::string& mode = config.network_mode;
    return mode != "bridge" && mode != "default" && mode != "none" && mode != "host" && !mode.starts_with("container:");
}

void check_container_config(const ContainerConfig& config) {
    const auto refuse = [](const std::string& message) {
        throw EngineError(ErrorKind::invalid, message);
    };
    if (config.entrypoint.empty() && config.command.empty())
        refuse("no command specified");
    if (config.init)
        refuse("an init process in the container (--init) is not supported");
    if (!config.stop_signal.empty() && !parse_signal(config.stop_signal))
        refuse("invalid stop signal: " + config.stop_signal);
    (void)effective_capabilities(config);
    if (!config.working_directory.empty() && config.working_directory.front() != '/')
        refuse("the working directory '" + config.working_directory + "' is invalid, it needs to be an absolute path");
    std::set<std::string> targets;
    for (const ContainerMount& mount : config.mounts) {
        if (mount.target.size() < 2 || mount.target.front() != '/')
            refuse("invalid mount path: '" + mount.target + "' mount path must be absolute and not the root");
        if (mount.type != ContainerMount::Type::tmpfs && (mount.source.empty() || mount.source.front() != '/'))
            refuse("invalid mount source: '" + mount.source + "' must be an absolute path");
        if (!targets.insert(mount.target).second)
            refuse("Duplicate mount point: " + mount.target);
    }
    for (const std::string& mode : {config.pid_mode, config.ipc_mode, config.uts_mode, config.cgroup_mode})
        if (!mode.empty() && mode != "host" && mode != "private" && !mode.starts_with("container:"))
            refuse("invalid namespace mode: " + mode);
    if (config.ipc_mode.starts_with("container:") || config.uts_mode.starts_with("container:"))
        refuse("joining another container's ipc or uts namespace is not supported");
    const Resources& r = config.resources;
    if (r.memory < 0 || (r.memory > 0 && r.memory < 6 * 1024 * 1024))
        refuse("Minimum memory limit allowed is 6MB");
    if (r.memory_swap > 0 && r.memory_swap < r.memory)
        refuse("Minimum memoryswap limit should be larger than memory limit, see usage");
    if (r.nano_cpus > 0 && r.cpu_quota > 0)
        refuse("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
    if (r.nano_cpus < 0 || r.cpu_quota < 0 || r.cpu_period < 0 || r.cpu_shares < 0)
        refuse("CPU limits must not be negative");
    if (config.restart.kind != RestartPolicy::Kind::no && config.auto_remove)
        refuse("can't create 'AutoRemove' container with restart policy");
}

std::string make_up_name() {
    static constexpr const char* qualities[] = {
        "brave", "calm",  "clever", "eager",  "fair",  "gentle", "happy", "keen", "kind", "lively", "merry", "noble",
        "quick", "quiet", "sharp",  "steady", "sunny", "swift",  "tidy",  "warm", "wise", "witty",  "young", "bright"};
    static constexpr const char* animals[] = {
        "badger", "bear",   "beaver", "crane", "deer", "eagle",  "falcon", "finch", "fox",  "heron", "ibex", "lark",
        "lynx",   "marten", "moose",  "otter", "owl",  "puffin", "raven",  "robin", "seal", "stork", "swan", "wolf"};
    static thread_local std::mt19937 generator{std::random_device{}()};
    const auto pick = [&](std::size_t count) {
        return std::uniform_int_distribution<std::size_t>(0, count - 1)(generator);
    };
    std::string name = std::string(qualities[pick(std::size(qualities))]) + "_" + animals[pick(std::size(animals))];
    return name + std::to_string(pick(1000));
}

} // namespace engine
