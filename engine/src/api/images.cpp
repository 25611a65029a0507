// Images: list, inspect, history, load, tag, remove.
#include <fnmatch.h>

#include "api/filters.hpp"
#include "api/image_lookup.hpp"
#include "api/json_answer.hpp"
#include "api/routes.hpp"
#include "api/time_text.hpp"
#include "images/reference.hpp"

namespace engine::api {
namespace {

std::int64_t created_seconds(const ImageRecord& record) {
    const auto time = parse_rfc3339(record.created);
    return time ? unix_seconds(*time) : 0;
}

json::object summary(const ImageRecord& record) {
    return json::object{{"Containers", -1},
                        {"Created", created_seconds(record)},
                        {"Id", record.info.id},
                        {"Labels", to_json(record.info.config.labels)},
                        {"ParentId", ""},
                        {"RepoDigests", to_json(familiar_names(record.digests))},
                        {"RepoTags", to_json(familiar_names(record.references))},
                        {"SharedSize", -1},
                        {"Size", record.size},
                        {"VirtualSize", record.size}};
}

/// A pattern fits the short name with or without the tag.
bool fits_reference(const std::string& canonical, const std::set<std::string>& patterns) {
    const auto reference = parse_reference(canonical);
    return reference && std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
               const std::string full_pattern =
                   parse_reference(pattern) ? parse_reference(pattern)->familiar_name() : pattern;
               for (const std::string& text : {reference->familiar(), reference->familiar_name()})
                   if (::fnmatch(pattern.c_str(), text.c_str(), FNM_PATHNAME) == 0 ||
                       (pattern.find(':') == std::string::npos && full_pattern == text))
                       return true;
               return canonical == pattern;
           });
}

/// False when the image is not wanted; takes the names that do not fit off.
bool apply_filters(const Context& context, const Filters& filters, ImageRecord& record) {
    if (filters.has("reference")) {
        std::erase_if(record.references,
                      [&](const std::string& name) { return !fits_reference(name, filters.values("reference")); });
        if (record.references.empty())
            return false;
    }
    if (filters.has("dangling") && filters.flag("dangling", false) != record.references.empty())
        return false;
    for (const std::string& name : filters.values("before"))
        if (created_seconds(record) >= created_seconds(require_image(context, name)))
            return false;
    for (const std::string& name : filters.values("since"))
        if (created_seconds(record) <= created_seconds(require_image(context, name)))
            return false;
    for (const std::string& text : filters.values("until"))
        if (const auto time = parse_timestamp(text, "until"); time && created_seconds(record) >= unix_seconds(*time))
            return false;
    return filters.allows_labels(record.info.config.labels);
}

void list(Call& call) {
    const Filters filters = Filters::parse(call.request.query_value("filters"));
    filters.expect({"before", "dangling", "label", "reference", "since", "until"});
    json::array result;
    for (ImageRecord& record : call.context.images.list())
        if (apply_filters(call.context, filters, record))
            result.push_back(summary(record));
    send_json(call, 200, result);
}

/// A member of the configuration as it came.
json::value configuration_part(const ImageRecord& record, std::string_view key) {
    const json::value document = base::parse_json(record.json, "image configuration");
    const json::value* part = document.as_object().if_contains(key);
    return part == nullptr ? json::value(nullptr) : *part;
}

void inspect(Call& call) {
    const ImageRecord record = require_image(call.context, call.parameter());
    json::object result = summary(record);
    for (const char* key : {"Containers", "Labels", "ParentId", "SharedSize"})
        result.erase(key);
    result["Parent"] = "";
    result["Comment"] = "";
    result["Created"] = record.created;
    result["Author"] = record.author;
    result["DockerVersion"] = "";
    result["Architecture"] = record.architecture;
    result["Os"] = record.os;
    if (!record.variant.empty())
        result["Variant"] = record.variant;
    result["Config"] = configuration_part(record, "config");
    result["RootFS"] = json::object{{"Type", "layers"}, {"Layers", to_json(record.diff_ids)}};
    result["GraphDriver"] = json::object{{"Name", "overlay2"}, {"Data", json::object{}}};
    result["Metadata"] = json::object{{"LastTagTime", "0001-01-01T00:00:00Z"}};
    send_json(call, 200, result);
}

void history(Call& call) {
    const ImageRecord record = require_image(call.context, call.parameter());
    json::array result;
    const json::value steps = configuration_part(record, "history");
    std::size_t layer = 0;
    if (steps.is_array()) {
        checked_body([&] {
            for (const json::value& item : steps.as_array()) {
                const base::JsonObject step(item, "history");
                const bool has_layer = !step.boolean("empty_layer") && layer < record.layer_sizes.size();
                const auto time = parse_rfc3339(step.string("created"));
                result.insert(result.begin(), json::object{{"Id", "<missing>"},
                                                           {"Created", time ? unix_seconds(*time) : 0},
                                                           {"CreatedBy", step.string("created_by")},
                                                           {"Tags", nullptr},
                                                           {"Size", has_layer ? record.layer_sizes[layer] : 0},
                                                           {"Comment", step.string("comment")}});
                layer += has_layer ? 1 : 0;
            }
        });
    }
    if (!result.empty()) {
        result[0].as_object()["Id"] = record.info.id;
        result[0].as_object()["Tags"] = list_or_null(familiar_names(record.references));
    }
    send_json(call, 200, result);
}

void load(Call& call) {
    std::vector<LoadedImage> loaded;
    try {
        loaded = call.context.images.load(
            [&](char* buffer, std::size_t size) { return call.request.read_body(buffer, size); });
    } catch (const HttpError&) {
        throw;
    } catch (const base::Error& error) {
        drain_body(call.request);
        throw HttpError(image_error_status(error), base::error_chain(error));
    }
    std::string text;
    for (const LoadedImage& image : loaded) {
        publish_image_event(call.context, "load", image.id, image.id);
        const auto line = [&](const std::string& message) {
            text += json::serialize(json::object{{"stream", message + "\n"}}) + "\r\n";
        };
        for (const std::string& name : image.references)
            line("Loaded image: " + familiar(name));
        if (image.references.empty())
            line("Loaded image ID: " + image.id);
    }
    call.response.send(200, text);
}

void tag(Call& call) {
    const ImageRecord record = require_image(call.context, call.parameter());
    const std::string tag_text = call.request.query_value("tag");
    const std::string name = call.request.query_value("repo") + (tag_text.empty() ? "" : ":" + tag_text);
    const auto reference = parse_reference(name);
    if (!reference || !reference->digest.empty())
        throw HttpError(400, fmt::format("invalid reference format: {:?}", name.substr(0, 300)));
    call.context.images.tag(record.info.id, name);
    publish_image_event(call.context, "tag", record.info.id, reference->familiar());
    call.response.send(201, "");
}

// Removing ------------------------------------------------------------------------------------------------------------

struct ImageUsers {
    std::string running; ///< a container that runs from it; empty: none
    std::string stopped;
    bool any() const { return !running.empty() || !stopped.empty(); }
    const std::string& one() const { return running.empty() ? stopped : running; }
};

ImageUsers users_of(const Engine& engine, const std::string& id) {
    ImageUsers users;
    for (const ContainerInfo& info : engine.list()) {
        if (info.config->image_id != id)
            continue;
        (info.state.running() || info.state.status == Status::restarting ? users.running : users.stopped) =
            info.id.substr(0, 12);
    }
    return users;
}

std::size_t repository_count(const ImageRecord& record) {
    std::set<std::string> repositories;
    for (const std::string& name : record.references)
        repositories.insert(require_reference(name).name());
    return repositories.size();
}

/// The name among the image's that the client meant; empty when it gave an id.
std::string named_reference(const ImageRecord& record, const std::string& text) {
    const auto reference = parse_reference(text);
    const std::string name = reference ? reference->tagged() : std::string();
    const auto& names = record.references;
    return std::find(names.begin(), names.end(), name) == names.end() ? std::string() : name;
}

void untag(Call& call, const ImageRecord& record, const std::string& name, json::array& result) {
    if (!call.context.images.untag(name))
        return;
    publish_image_event(call.context, "untag", record.info.id, familiar(name));
    result.push_back(json::object{{"Untagged", familiar(name)}});
}

void check_removable(const ImageRecord& record, const ImageUsers& users, const std::string& name, bool force) {
    const std::string short_id = digest_hex(record.info.id).substr(0, 12);
    if (!name.empty() && users.any() && !force)
        throw HttpError(409,
                        fmt::format("conflict: unable to remove repository reference \"{}\" (must force) - container "
                                    "{} is using its referenced image {}",
                                    familiar(name), users.one(), short_id));
    if (!name.empty())
        return;
    if (!users.running.empty())
        throw HttpError(409, fmt::format("conflict: unable to delete {} (cannot be forced) - image is being used by "
                                         "running container {}",
                                         short_id, users.running));
    if (repository_count(record) > 1 && !force)
        throw HttpError(409, fmt::format("conflict: unable to delete {} (must be forced) - image is referenced in "
                                         "multiple repositories",
                                         short_id));
    if (!users.stopped.empty() && !force)
        throw HttpError(409, fmt::format("conflict: unable to delete {} (must be forced) - image is being used by "
                                         "stopped container {}",
                                         short_id, users.stopped));
}

void remove(Call& call) {
    const ImageRecord record = require_image(call.context, call.parameter());
    const bool force = call.request.query_flag("force");
    const std::string name = named_reference(record, call.parameter());
    json::array result;
    if (!name.empty() && record.references.size() > 1) {
        untag(call, record, name, result);
        send_json(call, 200, result);
        return;
    }
    const ImageUsers users = users_of(call.context.engine, record.info.id);
    check_removable(record, users, name, force);
    for (const std::string& reference : record.references)
        untag(call, record, reference, result);
    // A container still stands on its layers: it keeps a nameless image.
    if (!users.any()) {
        const std::vector<std::string> layers = call.context.images.remove(record.info.id);
        publish_image_event(call.context, "delete", record.info.id, record.info.id);
        result.push_back(json::object{{"Deleted", record.info.id}});
        for (const std::string& layer : layers)
            result.push_back(json::object{{"Deleted", layer}});
    }
    send_json(call, 200, result);
}

void prune(Call& call) {
    const Filters filters = Filters::parse(call.request.query_value("filters"));
    filters.expect({"dangling", "label", "until"});
    const bool dangling_only = filters.flag("dangling", true);
    json::array deleted;
    std::uint64_t reclaimed = 0;
    for (const ImageRecord& record : call.context.images.list()) {
        const auto created = parse_rfc3339(record.created);
        bool young = false;
        for (const std::string& text : filters.values("until"))
            if (const auto time = parse_timestamp(text, "until"); time && (!created || *created >= *time))
                young = true;
        if ((dangling_only && !record.references.empty()) || young ||
            !filters.allows_labels(record.info.config.labels) || users_of(call.context.engine, record.info.id).any())
            continue;
        for (const std::string& reference : record.references)
            untag(call, record, reference, deleted);
        const std::vector<std::string> layers = call.context.images.remove(record.info.id);
        publish_image_event(call.context, "delete", record.info.id, record.info.id);
        deleted.push_back(json::object{{"Deleted", record.info.id}});
        for (std::size_t i = 0; i < record.chain_ids.size(); ++i)
            if (std::find(layers.begin(), layers.end(), record.chain_ids[i]) != layers.end())
                reclaimed += record.layer_sizes[i];
    }
    send_json(call, 200, json::object{{"ImagesDeleted", std::move(deleted)}, {"SpaceReclaimed", reclaimed}});
}

void create(Call& call) {
    const std::string name = call.request.query_value("fromImage");
    if (name.empty())
        throw HttpError(501, "importing a root file system is not supported: load an image with `docker load`");
    throw HttpError(501, fmt::format("pulling {} is not supported yet: load the image with `docker load`", name));
}

} // namespace

void add_image_routes(Router& router) {
    router.add("GET", "images/json", list);
    router.add("POST", "images/load", load);
    router.add("POST", "images/create", create);
    router.add("POST", "images/prune", prune);
    router.add("GET", "images/{*}/json", inspect);
    router.add("GET", "images/{*}/history", history);
    router.add("POST", "images/{*}/tag", tag);
    router.add("DELETE", "images/{*}", remove);
}

} // namespace engine::api
