#include "image/docker_archive.hpp"

#include <ctime>
#include <regex>

#include <boost/json.hpp>

#include "base/error.hpp"
#include "base/sha256.hpp"
#include "image/archive.hpp"

namespace image {
namespace {

namespace json = boost::json;

std::string rfc3339(std::int64_t seconds) {
    const std::time_t time = seconds;
    std::tm fields{};
    char text[32];
    if (::gmtime_r(&time, &fields) == nullptr || std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &fields) == 0)
        throw base::Error("time " + std::to_string(seconds) + " is out of range");
    return text;
}

json::array to_array(const std::vector<std::string>& values) {
    json::array array;
    for (const std::string& value : values)
        array.emplace_back(value);
    return array;
}

} // namespace

std::string make_docker_archive(const ContainerImage& image) {
    static const std::regex reference(R"([a-z0-9]+([._/-][a-z0-9]+)*:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})");
    if (!std::regex_match(image.name, reference))
        throw base::Error("container image \"" + image.name + "\": expected NAME:TAG in lower case");

    const std::string diff_id = base::sha256_hex(image.layer);
    json::object process{{"Cmd", to_array(image.command)}};
    json::array environment = to_array(image.environment);
    environment.insert(environment.begin(),
                       json::value("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
    process["Env"] = std::move(environment);
    const json::object config{
        {"architecture", "amd64"},
        {"os", "linux"},
        {"created", rfc3339(image.created)},
        {"config", std::move(process)},
        {"rootfs", {{"type", "layers"}, {"diff_ids", json::array{"sha256:" + diff_id}}}},
        {"history", json::array{{{"created", rfc3339(image.created)}, {"created_by", "mkimage"}}}}};
    const std::string config_text = json::serialize(config);
    const std::string config_name = base::sha256_hex(config_text) + ".json";
    const std::string layer_name = diff_id + "/layer.tar";
    const json::array manifest{
        {{"Config", config_name}, {"RepoTags", json::array{image.name}}, {"Layers", json::array{layer_name}}}};

    TarWriter tar(image.created);
    tar.add_file("manifest.json", json::serialize(manifest));
    tar.add_file(config_name, config_text);
    tar.add_directory(diff_id);
    tar.add_file(layer_name, image.layer);
    return tar.finish();
}

} // namespace image
