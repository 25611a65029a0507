#include "api/volume_store.hpp"

#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/mount_spec.hpp"
#include "api/time_text.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "base/sha256.hpp"

namespace engine::api {
namespace {

constexpr const char* anonymous_label = "com.docker.volume.anonymous";

std::string random_name() {
    std::array<std::uint8_t, 32> bytes{};
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
        base::throw_errno("getrandom");
    return base::to_hex(bytes);
}

Volume read_volume(const std::string& directory, const std::string& name) {
    const std::string file = directory + "/volume.json";
    const base::json::value document = base::parse_json(base::read_file(file), file);
    const base::JsonObject object(document, file);
    Volume volume{.name = name, .directory = directory + "/_data", .labels = {}, .created = {}};
    if (const auto labels = object.object("labels"))
        for (const auto& member : labels->raw())
            volume.labels[std::string(member.key())] = labels->string(member.key());
    volume.created = parse_rfc3339(object.required_string("created")).value_or(TimePoint());
    volume.anonymous = object.boolean("anonymous");
    volume.remove_with = object.string("remove_with");
    return volume;
}

} // namespace

VolumeStore::VolumeStore(std::string directory) : directory_(std::move(directory)) {
    base::make_directories(directory_, 0711); // a container's user may own files below, by descriptor or bind
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
        const std::string name = entry.path().filename().string();
        try {
            if (name.starts_with('.')) {
                base::remove_tree(entry.path().string()); // half removed by a crash
                continue;
            }
            volumes_[name] = read_volume(entry.path().string(), name);
        } catch (const std::exception& error) {
            base::log_error("volume is damaged name={} reason={}", name, base::error_chain(error));
        }
    }
}

void VolumeStore::write(const Volume& volume) const {
    base::json::object labels;
    for (const auto& [key, value] : volume.labels)
        labels[key] = value;
    const base::json::object document{{"version", 1},
                                      {"labels", std::move(labels)},
                                      {"created", rfc3339(volume.created)},
                                      {"anonymous", volume.anonymous},
                                      {"remove_with", volume.remove_with}};
    base::write_durable(path(volume.name) + "/volume.json", base::json::serialize(document), 0600);
}

VolumeStore::Created VolumeStore::create(const std::string& name, const std::map<std::string, std::string>& labels) {
    const std::lock_guard lock(mutex_);
    if (const auto found = volumes_.find(name); found != volumes_.end())
        return {found->second, false};
    Volume volume;
    volume.anonymous = name.empty();
    volume.name = name.empty() ? random_name() : name;
    if (!is_volume_name(volume.name))
        throw base::Error(fmt::format("volume name {:?}: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name));
    volume.labels = labels;
    if (volume.anonymous)
        volume.labels.emplace(anonymous_label, "");
    volume.created = std::chrono::system_clock::now();
    volume.directory = path(volume.name) + "/_data";
    base::make_directories(path(volume.name), 0711);
    base::make_directories(volume.directory, 0755);
    write(volume);
    base::sync_directory(directory_);
    volumes_[volume.name] = volume;
    return {volume, true};
}

void VolumeStore::set_remove_with(const std::string& name, const std::string& container_id) {
    const std::lock_guard lock(mutex_);
    Volume& volume = volumes_.at(name);
    volume.remove_with = container_id;
    write(volume);
}

std::optional<Volume> VolumeStore::find(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto found = volumes_.find(name);
    return found == volumes_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<Volume> VolumeStore::list() const {
    const std::lock_guard lock(mutex_);
    std::vector<Volume> list;
    for (const auto& [name, volume] : volumes_)
        list.push_back(volume);
    return list;
}

void VolumeStore::remove(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = volumes_.find(name);
    if (found == volumes_.end())
        throw base::Error(ENOENT, "volume " + name);
    // A name that starts with a dot is never a volume's: the next start finishes what a crash leaves of this.
    const std::string grave = path("." + name);
    base::check(::rename(path(name).c_str(), grave.c_str()), "rename " + path(name));
    volumes_.erase(found);
    base::remove_tree(grave);
}

} // namespace engine::api
