#include "images/image_config.hpp"

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/sha256.hpp"
#include "images/reference.hpp"

namespace engine {
namespace {

using base::JsonObject;

constexpr std::size_t layer_limit = 127; // overlayfs takes 500, docker 127
constexpr const char* document_name = "image configuration";

/// {"80/tcp": {}, ...}: docker writes sets as objects.
std::vector<std::string> keys_of(const std::optional<JsonObject>& set) {
    std::vector<std::string> keys;
    if (set)
        for (const auto& member : set->raw())
            keys.emplace_back(member.key());
    return keys;
}

std::chrono::milliseconds milliseconds_of(std::int64_t nanoseconds, std::chrono::milliseconds fallback) {
    return nanoseconds > 0 ? std::chrono::milliseconds(nanoseconds / 1'000'000) : fallback;
}

HealthConfig parse_health(const JsonObject& object) {
    HealthConfig health;
    const std::vector<std::string> test = object.strings("Test");
    if (test.empty() || test.front() == "NONE")
        return health;
    if (test.front() == "CMD")
        health.kind = HealthConfig::Kind::command;
    else if (test.front() == "CMD-SHELL")
        health.kind = HealthConfig::Kind::shell;
    else
        throw base::Error(fmt::format("{}: Healthcheck: unknown kind {:?}", document_name, test.front()));
    health.command.assign(test.begin() + 1, test.end());
    health.interval = milliseconds_of(object.integer("Interval"), health.interval);
    health.timeout = milliseconds_of(object.integer("Timeout"), health.timeout);
    health.start_period = milliseconds_of(object.integer("StartPeriod"), health.start_period);
    if (const std::int64_t retries = object.integer("Retries"); retries > 0 && retries < 1'000'000)
        health.retries = static_cast<unsigned>(retries);
    return health;
}

ImageConfig parse_container_part(const JsonObject& object) {
    ImageConfig config;
    config.entrypoint = object.strings("Entrypoint");
    config.command = object.strings("Cmd");
    config.env = object.strings("Env");
    config.working_directory = object.string("WorkingDir");
    config.user = object.string("User");
    config.exposed_ports = keys_of(object.object("ExposedPorts"));
    config.volumes = keys_of(object.object("Volumes"));
    if (const auto labels = object.object("Labels"))
        for (const auto& member : labels->raw())
            config.labels[std::string(member.key())] = labels->string(member.key());
    config.stop_signal = object.string("StopSignal");
    if (const auto health = object.object("Healthcheck"))
        config.health = parse_health(*health);
    return config;
}

} // namespace

std::vector<std::string> chain_ids_of(const std::vector<std::string>& diff_ids) {
    std::vector<std::string> chain;
    for (const std::string& diff_id : diff_ids)
        chain.push_back(chain.empty() ? diff_id : "sha256:" + base::sha256_hex(chain.back() + " " + diff_id));
    return chain;
}

ImageRecord parse_image_config(const std::string& text) {
    const base::json::value document = base::parse_json(text, document_name);
    const JsonObject object(document, document_name);
    ImageRecord record;
    record.info.id = "sha256:" + base::sha256_hex(text);
    record.json = text;
    record.os = object.string("os", "linux");
    if (record.os != "linux")
        throw base::Error(fmt::format("{}: an image for {}, not for linux", document_name, record.os));
    record.architecture = object.string("architecture");
    record.variant = object.string("variant");
    record.author = object.string("author");
    record.created = object.string("created");
    if (const auto config = object.object("config"))
        record.info.config = parse_container_part(*config);
    const auto rootfs = object.object("rootfs");
    if (!rootfs)
        throw base::Error(fmt::format("{}: rootfs: missing", document_name));
    if (rootfs->string("type", "layers") != "layers")
        throw base::Error(fmt::format("{}: rootfs: type: expected \"layers\"", document_name));
    record.diff_ids = rootfs->strings("diff_ids");
    if (record.diff_ids.size() > layer_limit)
        throw base::Error(fmt::format("{}: more than {} layers", document_name, layer_limit));
    for (const std::string& diff_id : record.diff_ids)
        digest_hex(diff_id);
    record.chain_ids = chain_ids_of(record.diff_ids);
    return record;
}

} // namespace engine
