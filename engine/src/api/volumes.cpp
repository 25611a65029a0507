// Volumes of the local driver.
#include "api/directory_size.hpp"
#include "api/filters.hpp"
#include "api/mount_spec.hpp"
#include "api/routes.hpp"
#include "api/time_text.hpp"
#include "api/volume_json.hpp"

namespace engine::api {
namespace {

void publish(Context& context, const std::string& action, const std::string& name) {
    Event event;
    event.type = "volume";
    event.action = action;
    event.actor_id = name;
    event.attributes["driver"] = "local";
    event.time = std::chrono::system_clock::now();
    context.engine.publish(std::move(event));
}

Volume require_volume(const Call& call) {
    if (auto volume = call.context.volumes.find(call.parameter()))
        return *std::move(volume);
    throw HttpError(404, fmt::format("get {}: no such volume", call.parameter()));
}

void list(Call& call) {
    const Filters filters = Filters::parse(call.request.query_value("filters"));
    filters.expect({"dangling", "driver", "label", "name"});
    json::array volumes;
    for (const Volume& volume : call.context.volumes.list()) {
        const bool dangling_fits = !filters.has("dangling") || filters.flag("dangling", false) ==
                                                                   containers_using(call.context, volume.name).empty();
        if (dangling_fits && filters.allows("driver", "local") && filters.allows_labels(volume.labels) &&
            filters.allows_part("name", volume.name))
            volumes.push_back(volume_json(volume));
    }
    send_json(call, 200, json::object{{"Volumes", std::move(volumes)}, {"Warnings", nullptr}});
}

void create(Call& call) {
    const json::value body = read_json(call);
    const Volume volume = checked_body([&] {
        const base::JsonObject object(body, "request body");
        const std::string driver = object.string("Driver", "local");
        if (!driver.empty() && driver != "local")
            throw HttpError(404, fmt::format("create {}: error looking up volume plugin {}: plugin \"{}\" not found",
                                             object.string("Name"), driver, driver));
        if (const auto options = object.object("DriverOpts"); options && !options->raw().empty())
            throw HttpError(400, "DriverOpts: options of the local driver are not supported");
        std::map<std::string, std::string> labels;
        if (const auto given = object.object("Labels"))
            for (const auto& member : given->raw())
                labels[std::string(member.key())] = given->string(member.key());
        const std::string name = object.string("Name");
        if (!name.empty() && !is_volume_name(name))
            throw HttpError(400, fmt::format("create {}: \"{}\" includes invalid characters for a local volume name, "
                                             "only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed",
                                             name, name));
        return call.context.volumes.create(name, labels).volume;
    });
    publish(call.context, "create", volume.name);
    send_json(call, 201, volume_json(volume));
}

void inspect(Call& call) {
    send_json(call, 200, volume_json(require_volume(call)));
}

void remove(Call& call) {
    if (call.request.query_flag("force") && !call.context.volumes.find(call.parameter())) {
        send_nothing(call);
        return;
    }
    const Volume volume = require_volume(call);
    if (const auto users = containers_using(call.context, volume.name); !users.empty())
        throw HttpError(409, fmt::format("remove {}: volume is in use - [{}]", volume.name, users.front()));
    call.context.volumes.remove(volume.name);
    publish(call.context, "destroy", volume.name);
    send_nothing(call);
}

void prune(Call& call) {
    const Filters filters = Filters::parse(call.request.query_value("filters"));
    filters.expect({"all", "label"});
    // Since 1.42 only anonymous volumes, unless all are asked for.
    const bool all = call.minor_version < 42 || filters.flag("all", false);
    json::array deleted;
    std::int64_t reclaimed = 0;
    for (const Volume& volume : call.context.volumes.list()) {
        if ((!all && !volume.anonymous) || !filters.allows_labels(volume.labels) ||
            !containers_using(call.context, volume.name).empty())
            continue;
        reclaimed += directory_size(volume.directory);
        call.context.volumes.remove(volume.name);
        publish(call.context, "destroy", volume.name);
        deleted.emplace_back(volume.name);
    }
    send_json(call, 200, json::object{{"VolumesDeleted", std::move(deleted)}, {"SpaceReclaimed", reclaimed}});
}

} // namespace

json::object volume_json(const Volume& volume) {
    return json::object{{"CreatedAt", rfc3339(volume.created)},
                        {"Driver", "local"},
                        {"Labels", to_json(volume.labels)},
                        {"Mountpoint", volume.directory},
                        {"Name", volume.name},
                        {"Options", nullptr},
                        {"Scope", "local"}};
}

std::vector<std::string> containers_using(const Context& context, const std::string& volume) {
    std::vector<std::string> users;
    for (const ContainerInfo& info : context.engine.list())
        for (const ContainerMount& mount : info.config->mounts)
            if (mount.type == ContainerMount::Type::volume && mount.volume_name == volume) {
                users.push_back(info.id);
                break;
            }
    return users;
}

void add_volume_routes(Router& router) {
    router.add("GET", "volumes", list);
    router.add("POST", "volumes/create", create);
    router.add("POST", "volumes/prune", prune);
    router.add("GET", "volumes/{}", inspect);
    router.add("DELETE", "volumes/{}", remove);
}

} // namespace engine::api
