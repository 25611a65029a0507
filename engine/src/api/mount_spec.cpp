#include "api/mount_spec.hpp"

#include "base/http/server.hpp"
#include "base/json.hpp"

namespace engine::api {
namespace {

using base::JsonObject;
using base::http::HttpError;

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    while (true) {
        const std::size_t end = text.find(separator);
        parts.emplace_back(text.substr(0, end));
        if (end == std::string_view::npos)
            return parts;
        text.remove_prefix(end + 1);
    }
}

/// An absolute path, cleaned of "//" and "/./"; ".." is refused.
std::string absolute_path(const std::string& path, const std::string& what) {
    if (!path.starts_with('/'))
        throw HttpError(400, fmt::format("invalid {}: {:?}: path must be absolute", what, path));
    if (path.size() > 4095)
        throw HttpError(400, fmt::format("invalid {}: path too long", what));
    std::string clean;
    for (const std::string& part : split(path, '/')) {
        if (part == "..")
            throw HttpError(400, fmt::format("invalid {}: {:?}: must not contain \"..\"", what, path));
        if (!part.empty() && part != ".")
            clean += "/" + part;
    }
    return clean.empty() ? "/" : clean;
}

void add(CreateBody& body, ContainerMount mount) {
    mount.target = absolute_path(mount.target, "mount target");
    if (mount.target == "/")
        throw HttpError(400, "invalid mount target: destination can't be '/'");
    for (const ContainerMount& other : body.config.mounts)
        if (other.target == mount.target)
            throw HttpError(400, "Duplicate mount point: " + mount.target);
    body.config.mounts.push_back(std::move(mount));
}

bool is_propagation(std::string_view option) {
    return option == "private" || option == "rprivate" || option == "shared" || option == "rshared" ||
           option == "slave" || option == "rslave";
}

/// "src:dst[:ro,z,rslave]", "name:dst", "dst".
void add_bind(const std::string& text, CreateBody& body) {
    const std::vector<std::string> parts = split(text, ':');
    if (parts.size() > 3)
        throw HttpError(400, fmt::format("invalid volume specification: '{}'", text));
    ContainerMount mount;
    bool no_copy = false;
    if (parts.size() == 1) {
        mount.type = ContainerMount::Type::volume;
        mount.target = parts[0];
    } else if (parts[0].starts_with('/')) {
        mount.source = absolute_path(parts[0], "mount source");
        mount.target = parts[1];
    } else {
        if (!is_volume_name(parts[0]))
            throw HttpError(400, fmt::format("invalid volume specification: '{}': {:?} is neither an absolute path nor "
                                             "a volume name ([a-zA-Z0-9][a-zA-Z0-9_.-]*)",
                                             text, parts[0]));
        mount.type = ContainerMount::Type::volume;
        mount.volume_name = parts[0];
        mount.target = parts[1];
    }
    for (const std::string& option : parts.size() == 3 ? split(parts[2], ',') : std::vector<std::string>()) {
        if (option == "ro")
            mount.read_only = true;
        else if (option == "nocopy")
            no_copy = true;
        else if (is_propagation(option))
            mount.propagation = option;
        else if (!option.empty() && option != "rw" && option != "z" && option != "Z") // SELinux: there is none
            throw HttpError(400, fmt::format("invalid mode: {}", option));
    }
    const ContainerMount::Type type = mount.type;
    add(body, std::move(mount));
    const std::string& target = body.config.mounts.back().target;
    if (type == ContainerMount::Type::bind)
        body.create_sources.insert(target);
    if (no_copy)
        body.no_copy.insert(target);
}

void add_tmpfs_options(const std::string& text, ContainerMount& mount) {
    for (const std::string& option : split(text, ',')) {
        if (option == "ro")
            mount.read_only = true;
        else if (!option.empty() && option != "rw")
            mount.options.push_back(option);
    }
}

void add_mount_object(const JsonObject& object, CreateBody& body) {
    ContainerMount mount;
    mount.target = object.string("Target");
    mount.read_only = object.boolean("ReadOnly");
    const std::string type = object.string("Type");
    if (mount.target.empty())
        throw HttpError(400, "invalid mount config: field Target must not be empty");
    bool no_copy = false;
    bool create_source = false;
    if (type == "bind") {
        mount.source = absolute_path(object.string("Source"), "mount source");
        if (const auto options = object.object("BindOptions")) {
            mount.propagation = options->string("Propagation");
            if (!mount.propagation.empty() && !is_propagation(mount.propagation))
                throw HttpError(400, "invalid propagation mode: " + mount.propagation);
            if (options->boolean("NonRecursive"))
                mount.options.emplace_back("bind");
            create_source = options->boolean("CreateMountpoint");
        }
    } else if (type == "volume") {
        mount.type = ContainerMount::Type::volume;
        mount.volume_name = object.string("Source");
        if (!mount.volume_name.empty() && !is_volume_name(mount.volume_name))
            throw HttpError(400, fmt::format("invalid volume name: {:?}", mount.volume_name));
        if (const auto options = object.object("VolumeOptions")) {
            no_copy = options->boolean("NoCopy");
            const auto driver = options->object("DriverConfig");
            if (driver && !driver->string("Name").empty() && driver->string("Name") != "local")
                throw HttpError(400, "volume driver not found: " + driver->string("Name"));
            if (!options->string("Subpath").empty())
                throw HttpError(400, "VolumeOptions.Subpath is not supported");
        }
    } else if (type == "tmpfs") {
        mount.type = ContainerMount::Type::tmpfs;
        if (const auto options = object.object("TmpfsOptions")) {
            if (const std::int64_t size = options->integer("SizeBytes"); size > 0)
                mount.options.push_back(fmt::format("size={}", size));
            if (const std::int64_t mode = options->integer("Mode"); mode > 0 && mode <= 07777)
                mount.options.push_back(fmt::format("mode={:o}", mode));
        }
    } else {
        throw HttpError(400, fmt::format("mount type {:?} is not supported: use bind, volume or tmpfs", type));
    }
    add(body, std::move(mount));
    const std::string& target = body.config.mounts.back().target;
    if (create_source)
        body.create_sources.insert(target);
    if (no_copy)
        body.no_copy.insert(target);
}

} // namespace

bool is_volume_name(std::string_view name) noexcept {
    const auto word = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    return !name.empty() && name.size() <= 255 && word(name.front()) &&
           std::all_of(name.begin(), name.end(), [&](char c) { return word(c) || c == '_' || c == '.' || c == '-'; });
}

void add_mounts(const JsonObject& config, const JsonObject* host_config, CreateBody& body) {
    if (host_config != nullptr) {
        for (const base::json::value& item : host_config->array("Mounts"))
            add_mount_object(JsonObject(item, "HostConfig.Mounts"), body);
        for (const std::string& bind : host_config->strings("Binds"))
            add_bind(bind, body);
        if (const auto tmpfs = host_config->object("Tmpfs")) {
            for (const auto& member : tmpfs->raw()) {
                ContainerMount mount;
                mount.type = ContainerMount::Type::tmpfs;
                mount.target = std::string(member.key());
                add_tmpfs_options(tmpfs->string(member.key()), mount);
                add(body, std::move(mount));
            }
        }
    }
    const auto volumes = config.object("Volumes");
    if (!volumes)
        return;
    for (const auto& member : volumes->raw()) {
        ContainerMount mount;
        mount.type = ContainerMount::Type::volume;
        mount.target = absolute_path(std::string(member.key()), "volume");
        const bool there = std::any_of(body.config.mounts.begin(), body.config.mounts.end(),
                                       [&](const ContainerMount& other) { return other.target == mount.target; });
        if (!there) // docker's clients name `-v name:target` in both places
            add(body, std::move(mount));
    }
}

} // namespace engine::api
