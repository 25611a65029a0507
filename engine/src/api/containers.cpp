// Containers: create, start, stop, kill, remove and the other verbs.
#include <sys/stat.h>

#include "api/create_body.hpp"
#include "api/image_lookup.hpp"
#include "api/json_answer.hpp"
#include "api/routes.hpp"
#include "api/volume_copy.hpp"
#include "api/volume_store.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "base/scope_exit.hpp"

namespace engine::api {
namespace {

constexpr std::size_t body_limit = 1024 * 1024;
/// For a process that sleeps in the kernel where no signal reaches it.
constexpr std::chrono::seconds kill_patience{10};

/// "name" for "/name"; docker's rule for names. Empty stays empty: the engine makes one up.
std::string checked_name(std::string name) {
    if (name.starts_with('/'))
        name.erase(0, 1);
    const auto word = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    const bool valid =
        name.empty() ||
        (name.size() >= 2 && name.size() <= 255 && word(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return word(c) || c == '_' || c == '.' || c == '-'; }));
    if (!valid)
        throw HttpError(400,
                        fmt::format("Invalid container name ({}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name));
    return name;
}

/// The image's volumes nobody mounted something on.
void add_image_volumes(const ImageRecord& image, ContainerConfig& config) {
    config.image_volumes = image.info.config.volumes;
    for (const std::string& target : config.image_volumes) {
        const bool there = std::any_of(config.mounts.begin(), config.mounts.end(),
                                       [&](const ContainerMount& mount) { return mount.target == target; });
        if (there || !target.starts_with('/') || target == "/" || target.find("..") != std::string::npos)
            continue;
        ContainerMount mount;
        mount.type = ContainerMount::Type::volume;
        mount.target = target;
        config.mounts.push_back(std::move(mount));
    }
}

void publish_all(const ImageRecord& image, CreateBody& body) {
    std::set<std::string> wanted = body.exposed_ports;
    for (const std::string& port : image.info.config.exposed_ports)
        wanted.insert(port.find('/') == std::string::npos ? port + "/tcp" : port);
    for (const std::string& key : wanted) {
        PublishedPort port;
        const std::size_t slash = key.find('/');
        const unsigned long number = std::strtoul(key.c_str(), nullptr, 10);
        port.protocol = key.substr(slash + 1);
        if (number == 0 || number > 65535 || (port.protocol != "tcp" && port.protocol != "udp"))
            continue; // an image's text, not the user's wish
        port.container_port = static_cast<std::uint16_t>(number);
        const bool there = std::any_of(body.config.ports.begin(), body.config.ports.end(), [&](const PublishedPort& p) {
            return p.container_port == port.container_port && p.protocol == port.protocol;
        });
        if (!there)
            body.config.ports.push_back(port);
    }
}

/// "container:NAME" with the id for the name.
void resolve_container_mode(const Engine& engine, std::string& mode) {
    constexpr std::string_view prefix = "container:";
    if (mode.starts_with(prefix))
        mode = std::string(prefix) + engine.get(mode.substr(prefix.size())).id;
}

void check_network(const Context& context, ContainerConfig& config) {
    resolve_container_mode(context.engine, config.network_mode);
    resolve_container_mode(context.engine, config.pid_mode);
    const std::string& mode = config.network_mode;
    if (mode == "none" || mode == "host" || mode.starts_with("container:"))
        return;
    const auto network = context.networks.find(mode);
    if (!network)
        throw HttpError(404, fmt::format("network {} not found", mode));
    config.network_mode = network->name;
}

void check_bind_source(const ContainerMount& mount, bool create) {
    struct stat status {};
    if (::stat(mount.source.c_str(), &status) == 0)
        return;
    if (errno != ENOENT || !create)
        throw HttpError(400, fmt::format("invalid mount config for type \"bind\": bind source path does not exist: {}",
                                         mount.source));
    try {
        base::make_directories(mount.source);
    } catch (const base::Error& error) {
        throw HttpError(400,
                        fmt::format("error while creating mount source path '{}': {}", mount.source, error.what()));
    }
}

/// Makes volumes and missing directories. Fresh volumes are noted: they are removed again when the creation fails, and
/// take over what the image has at their place when it does not.
std::vector<std::string> prepare_mounts(Call& call, CreateBody& body) {
    std::vector<std::string> fresh;
    for (ContainerMount& mount : body.config.mounts) {
        if (mount.type == ContainerMount::Type::bind) {
            check_bind_source(mount, body.create_sources.contains(mount.target));
        } else if (mount.type == ContainerMount::Type::volume) {
            const VolumeStore::Created created = call.context.volumes.create(mount.volume_name, {});
            mount.volume_name = created.volume.name;
            mount.source = created.volume.directory;
            if (created.fresh)
                fresh.push_back(created.volume.name);
        }
    }
    return fresh;
}

/// Fresh volumes take over what the image has at their place; those of a container with --rm end with it.
void finish_volumes(Call& call, const std::string& id, const CreateBody& body, const std::vector<std::string>& fresh) {
    VolumeStore& volumes = call.context.volumes;
    for (const ContainerMount& mount : body.config.mounts) {
        if (mount.type != ContainerMount::Type::volume ||
            std::find(fresh.begin(), fresh.end(), mount.volume_name) == fresh.end())
            continue;
        if (!body.no_copy.contains(mount.target))
            call.context.engine.with_rootfs(
                id, [&](const std::string& root) { copy_into_volume(root, mount.target, mount.source); });
        if (body.config.auto_remove && volumes.find(mount.volume_name)->anonymous)
            volumes.set_remove_with(mount.volume_name, id);
    }
}

void create(Call& call) {
    const std::string name = checked_name(call.request.query_value("name"));
    CreateBody body = parse_create_body(call.request.body(body_limit));
    if (body.config.image.empty())
        throw HttpError(400, "request body: Image: missing");
    const ImageRecord image = require_image(call.context, body.config.image);
    check_network(call.context, body.config);
    add_image_volumes(image, body.config);
    if (body.publish_all)
        publish_all(image, body);
    std::vector<std::string> fresh;
    std::string id;
    base::ScopeExit undo([&] {
        try {
            if (!id.empty())
                call.context.engine.remove(id, true, call.caller);
            for (const std::string& volume : fresh)
                call.context.volumes.remove(volume);
        } catch (const std::exception& error) {
            base::log_warning("container create: cannot undo: {}", base::error_chain(error));
        }
    });
    fresh = prepare_mounts(call, body);
    id = call.context.engine.create(name, body.config, call.caller);
    finish_volumes(call, id, body, fresh);
    undo.dismiss();
    send_json(call, 201, json::object{{"Id", id}, {"Warnings", json::array()}});
}

std::optional<int> stop_timeout(const Call& call) {
    const std::string text = call.request.query_value("t");
    if (text.empty())
        return std::nullopt;
    if (text == "-1")
        return -1;
    return static_cast<int>(std::min(query_number(call.request, "t", 0), 1'000'000U));
}

void start(Call& call) {
    call.context.engine.start_container(call.parameter(), call.caller);
    send_nothing(call);
}

void stop(Call& call) {
    call.context.engine.stop(call.parameter(), stop_timeout(call), call.caller, call.request.query_value("signal"));
    send_nothing(call);
}

void restart(Call& call) {
    call.context.engine.restart(call.parameter(), stop_timeout(call), call.caller);
    send_nothing(call);
}

/// SIGKILL is answered once the container is gone, as docker does it: `docker kill X && docker rm X` works.
void kill(Call& call) {
    const std::string id = call.context.engine.get(call.parameter()).id;
    const std::string signal = call.request.query_value("signal");
    ExitWaiter waiter = call.context.engine.wait(id, WaitCondition::next_exit);
    call.context.engine.kill(id, signal, call.caller);
    if (signal.empty() || signal == "9" || signal == "KILL" || signal == "SIGKILL")
        waiter.wait_for(kill_patience);
    send_nothing(call);
}

void pause(Call& call) {
    call.context.engine.pause(call.parameter(), call.caller);
    send_nothing(call);
}

void unpause(Call& call) {
    call.context.engine.unpause(call.parameter(), call.caller);
    send_nothing(call);
}

void rename(Call& call) {
    const std::string name = checked_name(call.request.query_value("name"));
    if (name.empty())
        throw HttpError(400, "Neither old nor new names may be empty");
    call.context.engine.rename(call.parameter(), name, call.caller);
    send_nothing(call);
}

void update(Call& call) {
    const ContainerInfo info = call.context.engine.get(call.parameter());
    const UpdateBody body = parse_update_body(call.request.body(body_limit), info.config->resources);
    call.context.engine.update(info.id, body.resources, body.restart, call.caller);
    send_json(call, 200, json::object{{"Warnings", json::array()}});
}

void remove(Call& call) {
    if (call.request.query_flag("link"))
        throw HttpError(400, "links between containers are not supported");
    const ContainerInfo info = call.context.engine.get(call.parameter());
    call.context.engine.remove(info.id, call.request.query_flag("force"), call.caller);
    if (call.request.query_flag("v"))
        for (const ContainerMount& mount : info.config->mounts) {
            const auto volume = call.context.volumes.find(mount.volume_name);
            if (mount.type == ContainerMount::Type::volume && volume && volume->anonymous)
                call.context.volumes.remove(volume->name);
        }
    send_nothing(call);
}

} // namespace

void add_container_routes(Router& router) {
    router.add("POST", "containers/create", create);
    router.add("POST", "containers/{}/start", start);
    router.add("POST", "containers/{}/stop", stop);
    router.add("POST", "containers/{}/restart", restart);
    router.add("POST", "containers/{}/kill", kill);
    router.add("POST", "containers/{}/pause", pause);
    router.add("POST", "containers/{}/unpause", unpause);
    router.add("POST", "containers/{}/rename", rename);
    router.add("POST", "containers/{}/update", update);
    router.add("DELETE", "containers/{}", remove);
}

} // namespace engine::api
