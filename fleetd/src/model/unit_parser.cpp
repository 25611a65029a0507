#include <arpa/inet.h>

#include <charconv>

#include "base/config_reader.hpp"
#include "base/utf8.hpp"
#include "fleetd/unit_spec.hpp"

namespace fleet {
namespace {

constexpr std::size_t max_list = 1024; ///< entries of command, env, ports, mounts

bool is_alphanumeric(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool has_control_characters(std::string_view text) noexcept {
    return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

/// A name, a name with a tag, or a name with a digest; the engine knows the finer rules.
bool valid_image(std::string_view image) noexcept {
    return !image.empty() && image.size() <= 255 && is_alphanumeric(image.front()) && is_alphanumeric(image.back()) &&
           std::all_of(image.begin(), image.end(), [](char c) {
               return is_alphanumeric(c) || c == '.' || c == '_' || c == '-' || c == '/' || c == ':' || c == '@';
           });
}

std::optional<std::uint16_t> parse_port(std::string_view text) noexcept {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || port == 0)
        return std::nullopt;
    return port;
}

bool valid_address(const std::string& address) noexcept {
    in6_addr parsed{};
    return inet_pton(AF_INET, address.c_str(), &parsed) == 1 || inet_pton(AF_INET6, address.c_str(), &parsed) == 1;
}

std::optional<PublishedPort> parse_published_port(std::string_view text) {
    PublishedPort port;
    if (const auto slash = text.find('/'); slash != std::string_view::npos) {
        port.protocol = text.substr(slash + 1);
        if (port.protocol != "tcp" && port.protocol != "udp")
            return std::nullopt;
        text = text.substr(0, slash);
    }
    const auto last = text.rfind(':');
    const auto container = parse_port(last == std::string_view::npos ? text : text.substr(last + 1));
    if (!container)
        return std::nullopt;
    port.container_port = *container;
    if (last == std::string_view::npos)
        return port;
    text = text.substr(0, last);
    const auto before = text.rfind(':');
    const auto host = parse_port(before == std::string_view::npos ? text : text.substr(before + 1));
    if (!host)
        return std::nullopt;
    port.host_port = *host;
    if (before == std::string_view::npos)
        return port;
    text = text.substr(0, before);
    if (text.size() > 2 && text.front() == '[' && text.back() == ']')
        text = text.substr(1, text.size() - 2);
    else if (text.find(':') != std::string_view::npos)
        return std::nullopt; // an IPv6 address needs its brackets
    port.address = text;
    if (!valid_address(port.address))
        return std::nullopt;
    return port;
}

bool valid_path(std::string_view path) noexcept {
    return path.size() > 1 && path.size() < 4096 && path.front() == '/' && !has_control_characters(path) &&
           (std::string(path) + "/").find("/../") == std::string::npos;
}

bool valid_volume(std::string_view name) noexcept {
    return !name.empty() && name.size() <= 128 && is_alphanumeric(name.front()) &&
           std::all_of(name.begin(), name.end(),
                       [](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

std::optional<UnitMount> parse_mount(std::string_view text) {
    const auto first = text.find(':');
    if (first == std::string_view::npos)
        return std::nullopt;
    UnitMount mount;
    mount.source = text.substr(0, first);
    text = text.substr(first + 1);
    if (const auto second = text.find(':'); second != std::string_view::npos) {
        const auto mode = text.substr(second + 1);
        if (mode != "ro" && mode != "rw")
            return std::nullopt;
        mount.read_only = mode == "ro";
        text = text.substr(0, second);
    }
    mount.target = text;
    if (!valid_path(mount.target) || !(valid_path(mount.source) || valid_volume(mount.source)))
        return std::nullopt;
    return mount;
}

/// The store and the API are JSON, which is UTF-8.
void require_utf8(std::string_view text, const std::string& file) {
    std::size_t line = 1;
    std::size_t start = 0;
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t length = base::utf8_length(text.substr(i));
        if (length == 0)
            throw base::ConfigError({fmt::format("{}:{}:{}: not UTF-8 text", file, line, i - start + 1)});
        if (text[i] == '\n') {
            ++line;
            start = i + 1;
        }
        i += length;
    }
}

/// The entries of an optional list, bounded.
std::vector<base::ConfigValue> list_at(base::ConfigMap& map, const std::string& key) {
    const auto value = map.optional(key);
    if (!value)
        return {};
    auto items = value->as_list();
    if (items.size() > max_list) {
        value->problem(fmt::format("more than {} entries", max_list));
        items.clear();
    }
    return items;
}

std::vector<std::string> read_command(base::ConfigMap& map, bool required) {
    const auto value = required ? map.required("command") : map.optional("command");
    if (!value)
        return {};
    auto command = value->as_strings();
    if (command.empty() ? required : command.front().empty())
        value->problem("expected a program and its arguments, such as [httpd, -f]");
    else if (command.size() > max_list)
        value->problem(fmt::format("more than {} entries", max_list));
    return command;
}

void read_ports(base::ConfigMap& root, UnitSpec& spec) {
    for (const base::ConfigValue& value : list_at(root, "ports")) {
        const std::string text = value.as_string();
        const auto port = parse_published_port(text);
        if (!port) {
            value.problem("expected [ADDRESS:]HOST:CONTAINER[/udp], such as \"8080:80\", or one port of the container");
            continue;
        }
        for (const PublishedPort& other : spec.ports) {
            if (ports_conflict(other, *port))
                value.problem(fmt::format("host port {} is published twice", port->host_port));
        }
        spec.ports.push_back(*port);
    }
}

void read_mounts(base::ConfigMap& root, UnitSpec& spec) {
    for (const base::ConfigValue& value : list_at(root, "mounts")) {
        const auto mount = parse_mount(value.as_string());
        if (!mount) {
            value.problem("expected SOURCE:TARGET[:ro], both absolute paths (or SOURCE a volume's name)");
            continue;
        }
        for (const UnitMount& other : spec.mounts) {
            if (other.target == mount->target)
                value.problem(fmt::format("{} is mounted twice", mount->target));
        }
        spec.mounts.push_back(*mount);
    }
}

void read_env(base::ConfigMap& root, UnitSpec& spec) {
    auto map = root.optional_map("env");
    if (!map)
        return;
    for (const auto& [name, value] : map->rest()) {
        if (name.empty() || name.size() > 255 || name.find('=') != std::string::npos ||
            name.find('\0') != std::string::npos || has_control_characters(name))
            value.problem("not a name of a variable");
        if (spec.env.size() >= max_list) {
            value.problem(fmt::format("more than {} entries", max_list));
            break;
        }
        spec.env[name] = value.as_string();
    }
    map->finish();
}

std::chrono::milliseconds read_duration(base::ConfigMap& map, const std::string& key,
                                        std::chrono::milliseconds fallback, std::chrono::milliseconds least) {
    const auto value = map.optional(key);
    if (!value)
        return fallback;
    const auto duration = value->as_duration();
    if (duration < least)
        value->problem(fmt::format("must be at least {} ms", least.count()));
    return duration;
}

void read_health(base::ConfigMap& root, UnitSpec& spec) {
    using namespace std::chrono_literals;
    auto map = root.optional_map("health");
    if (!map)
        return;
    UnitHealth health;
    health.command = read_command(*map, true);
    health.interval = read_duration(*map, "interval", health.interval, 100ms);
    health.timeout = read_duration(*map, "timeout", health.timeout, 100ms);
    health.start_period = read_duration(*map, "start_period", health.start_period, 0ms);
    health.retries = static_cast<unsigned>(map->optional_int("retries", 1, 100).value_or(health.retries));
    map->finish();
    spec.health = health;
}

} // namespace

bool valid_unit_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= 63 && is_alphanumeric(name.front()) &&
           std::all_of(name.begin(), name.end(),
                       [](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

UnitSpec parse_unit(std::string_view text, const std::string& file) {
    require_utf8(text, file);
    auto document = base::ConfigDocument::from_text(text, file);
    auto root = document.root();
    UnitSpec spec;
    if (text.size() > max_unit_text)
        root.problem(fmt::format("a unit file has at most {} bytes", max_unit_text));
    if (const auto name = root.required("name")) {
        spec.name = name->as_string();
        if (!spec.name.empty() && !valid_unit_name(spec.name))
            name->problem("expected 1 to 63 letters, digits, dots, dashes and underscores, first a letter or digit");
        else if (spec.name.empty() && !document.has_problems())
            name->problem("must not be empty");
    }
    if (const auto image = root.required("image")) {
        spec.image = image->as_string();
        if (!valid_image(spec.image))
            image->problem("expected an image, such as busybox:1");
    }
    spec.command = read_command(root, false);
    read_env(root, spec);
    read_ports(root, spec);
    read_mounts(root, spec);
    if (const auto restart = root.optional("restart")) {
        const auto parsed = parse_restart(restart->as_string());
        if (!parsed)
            restart->problem("expected no, on-failure or always");
        spec.restart = parsed.value_or(Restart::always);
    }
    spec.replicas = static_cast<unsigned>(root.optional_int("replicas", 1, max_replicas).value_or(1));
    read_health(root, spec);
    root.finish();
    document.throw_problems();
    return spec;
}

} // namespace fleet
