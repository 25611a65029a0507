#include "base/host_config.hpp"

#include "base/config_reader.hpp"
#include "base/files.hpp"
#include "host_health.hpp"
#include "update_policy.hpp"

namespace base {
namespace {

/// RFC 1123 host name: letters, digits, dashes and dots; no empty label, at most 64 characters (Linux).
bool valid_hostname(std::string_view name) {
    if (name.empty() || name.size() > 64 || name.front() == '-' || name.back() == '-' || name.front() == '.' ||
        name.back() == '.' || name.find("..") != std::string_view::npos)
        return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    });
}

std::string resolve(const std::string& folder, const std::string& file) {
    return file.empty() || file.front() == '/' ? file : folder + "/" + file;
}

std::optional<ListenConfig> read_listen(ConfigMap& root, const std::string& key, const std::string& folder) {
    auto map = root.optional_map(key);
    if (!map)
        return std::nullopt;
    ListenConfig listen;
    listen.address = map->required_string("listen");
    if (listen.address.rfind(':') == std::string::npos)
        map->problem("listen: expected ADDRESS:PORT, such as 0.0.0.0:2376");
    if (const auto tls_value = map->required("tls")) {
        ConfigMap tls = tls_value->as_map();
        listen.tls.ca = resolve(folder, tls.required_string("ca"));
        listen.tls.certificate = resolve(folder, tls.required_string("certificate"));
        listen.tls.key = resolve(folder, tls.required_string("key"));
        tls.finish();
    }
    map->finish();
    return listen;
}

NetworkConfig read_network(ConfigMap& root) {
    NetworkConfig network;
    auto map = root.optional_map("network");
    if (!map)
        return network;
    network.interface = map->optional_string("interface").value_or("");
    network.dhcp = map->optional_bool("dhcp").value_or(true);
    network.address = map->optional_string("address").value_or("");
    network.gateway = map->optional_string("gateway").value_or("");
    network.dns = map->optional_strings("dns");
    if (!network.dhcp && network.address.find('/') == std::string::npos)
        map->problem("without dhcp, address is needed, such as 192.168.1.10/24");
    if (network.dhcp && !network.address.empty())
        map->problem("address is for `dhcp: false`");
    map->finish();
    return network;
}

UpdateConfig read_update(ConfigMap& root, const std::string& folder) {
    UpdateConfig update;
    auto map = root.optional_map("update");
    if (!map)
        return update;
    const auto seconds = [&](const std::string& key, std::uint64_t fallback, std::chrono::seconds most) {
        const auto value = map->optional_duration(key);
        if (value && (*value < std::chrono::seconds(1) || *value > most))
            map->problem(fmt::format("{}: expected 1s to {}h", key, most.count() / 3600));
        return value ? static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(*value).count())
                     : fallback;
    };
    update.url = map->optional_string("url").value_or("");
    if (!update.url.empty() && !update.url.starts_with("https://") && !update.url.starts_with("http://"))
        map->problem("url: expected https:// or http://");
    update.ref = map->optional_string("ref").value_or("");
    if (const auto stream = map->optional_string("stream")) {
        if (!update.ref.empty())
            map->problem("stream and ref are two names of the same: give one");
        update.ref = *stream;
    }
    update.ca = resolve(folder, map->optional_string("ca").value_or(""));
    if (!update.ca.empty() && !update.url.empty() && !update.url.starts_with("https://"))
        map->problem("ca: is for an https:// url");
    update.proxy = map->optional_string("proxy").value_or("");
    if (!update.proxy.empty() && !update.proxy.starts_with("https://") && !update.proxy.starts_with("http://"))
        map->problem("proxy: expected http://HOST:PORT");
    update.keys = map->optional_strings("keys");
    update.settle_seconds = seconds("settle", update.settle_seconds, std::chrono::hours(1));
    update.trial_seconds = seconds("trial", update.trial_seconds, std::chrono::hours(24));
    if (const auto keep = map->optional_int("keep", 2, 100))
        update.keep = static_cast<std::uint64_t>(*keep);
    update.policy = read_update_policy(*map);
    map->finish();
    return update;
}

} // namespace

HostConfig HostConfig::parse(std::string_view text, const std::string& name) {
    HostConfig config;
    const auto slash = name.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : name.substr(0, slash);
    ConfigDocument document = ConfigDocument::from_text(text, name);
    ConfigMap root = document.root();
    if (const auto hostname = root.optional("hostname")) {
        config.hostname = hostname->as_string();
        if (!valid_hostname(config.hostname))
            hostname->problem("not a host name (RFC 1123, at most 64 characters)");
    }
    config.engine = read_listen(root, "engine", folder);
    config.fleet = read_listen(root, "fleet", folder);
    config.network = read_network(root);
    config.update = read_update(root, folder);
    config.health = read_health_checks(root);
    if (auto sysctl = root.optional_map("sysctl")) {
        for (const auto& [key, value] : sysctl->rest()) {
            if (key.find("..") != std::string::npos || key.front() == '/')
                value.problem("not a sysctl name");
            config.sysctl[key] = value.as_string();
        }
    }
    config.modules = root.optional_strings("modules");
    root.finish();
    document.throw_problems();
    return config;
}

HostConfig HostConfig::load(const std::string& path) {
    const auto text = read_file_if_exists(path, 1024UL * 1024);
    return text ? parse(*text, path) : HostConfig{};
}

} // namespace base
