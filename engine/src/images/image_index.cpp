#include "images/image_index.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/json.hpp"
#include "images/reference.hpp"

namespace engine {
namespace {

using base::JsonObject;

constexpr std::int64_t format_version = 1;

std::map<std::string, std::string> read_map(const JsonObject& document, std::string_view key) {
    std::map<std::string, std::string> result;
    if (const auto object = document.object(key))
        for (const auto& member : object->raw())
            result[std::string(member.key())] = object->string(member.key());
    return result;
}

base::json::object to_object(const std::map<std::string, std::string>& map) {
    base::json::object object;
    for (const auto& [key, value] : map)
        object[key] = value;
    return object;
}

std::vector<std::string> keys_with(const std::map<std::string, std::string>& map, const std::string& value) {
    std::vector<std::string> keys;
    for (const auto& [key, other] : map)
        if (other == value)
            keys.push_back(key);
    return keys;
}

} // namespace

ImageIndex ImageIndex::load(const std::string& path) {
    ImageIndex index;
    const auto text = base::read_file_if_exists(path);
    if (!text)
        return index;
    const base::json::value document = base::parse_json(*text, path);
    const JsonObject object(document, path);
    index.names_ = read_map(object, "names");
    index.digests_ = read_map(object, "digests");
    return index;
}

void ImageIndex::store(const std::string& path) const {
    const base::json::object document{
        {"version", format_version}, {"names", to_object(names_)}, {"digests", to_object(digests_)}};
    base::write_durable(path, base::json::serialize(document), 0600);
}

std::string ImageIndex::find(const Reference& reference) const {
    if (!reference.digest.empty()) {
        const auto found = digests_.find(reference.name() + "@" + reference.digest);
        return found == digests_.end() ? std::string() : found->second;
    }
    const auto found = names_.find(reference.tagged());
    return found == names_.end() ? std::string() : found->second;
}

void ImageIndex::erase_image(const std::string& id) {
    std::erase_if(names_, [&](const auto& item) { return item.second == id; });
    std::erase_if(digests_, [&](const auto& item) { return item.second == id; });
}

std::vector<std::string> ImageIndex::names_of(const std::string& id) const {
    return keys_with(names_, id);
}
std::vector<std::string> ImageIndex::digests_of(const std::string& id) const {
    return keys_with(digests_, id);
}

void write_layer_file(const std::string& path, const std::string& diff_id, const std::string& parent,
                      std::uint64_t size) {
    const base::json::object document{
        {"version", format_version}, {"diff_id", diff_id}, {"parent", parent}, {"size", size}};
    base::write_durable(path, base::json::serialize(document), 0600);
}

std::uint64_t read_layer_size(const std::string& path) {
    const base::json::value document = base::parse_json(base::read_file(path), path);
    const std::int64_t size = JsonObject(document, path).integer("size", -1);
    if (size < 0)
        throw base::Error(path + ": size: missing");
    return static_cast<std::uint64_t>(size);
}

} // namespace engine
