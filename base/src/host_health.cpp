#include "host_health.hpp"

#include <algorithm>

#include <fmt/ranges.h>

namespace base {
namespace {

constexpr std::size_t max_checks = 64;
constexpr std::size_t max_name = 64;
constexpr std::size_t max_target = 256;
constexpr std::uint64_t max_timeout_seconds = 60;

using Kind = HealthCheck::Kind;

constexpr std::array<std::pair<const char*, Kind>, 6> kinds{{{"service", Kind::service},
                                                             {"container", Kind::container},
                                                             {"label", Kind::label},
                                                             {"unit", Kind::unit},
                                                             {"check_container", Kind::check_container},
                                                             {"command", Kind::command}}};

bool is_word(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
               c == '.';
    });
}

/// Containers, services and units are words; of a label only the key is one.
bool is_target(Kind kind, std::string_view text) {
    if (text.size() > max_target)
        return false;
    if (kind != Kind::label)
        return is_word(text) && text.front() != '.';
    // What Docker's filters compare: the key may be a reverse domain name with slashes, the value is anything
    // printable.
    const bool printable = std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
    return printable && !text.empty() && text.front() != '=';
}

void read_kind(ConfigMap& map, HealthCheck& check) {
    std::string found;
    for (const auto& [key, kind] : kinds) {
        const auto value = map.optional(key);
        if (!value)
            continue;
        if (!found.empty())
            value->problem("the check has " + found + " already; one entry is one check");
        found = key;
        check.kind = kind;
        if (kind == Kind::command) {
            check.command = value->as_strings();
            if (check.command.empty() || check.command.front().empty())
                value->problem("expected a program and its arguments");
        } else {
            check.target = value->as_string();
            if (!is_target(kind, check.target))
                value->problem("not the name of one");
        }
    }
    if (found.empty())
        map.problem("expected one of service, container, label, unit, check_container, command");
}

HealthCheck read_check(ConfigMap& map) {
    HealthCheck check;
    check.name = map.required_string("name");
    if (!check.name.empty() && (!is_word(check.name) || check.name.size() > max_name))
        map.problem("name: expected letters, digits, '-', '_' and '.', at most 64");
    read_kind(map, check);
    if (const auto count = map.optional("at_least")) {
        check.at_least = static_cast<std::uint64_t>(count->as_int(1, 10'000));
        if (check.kind != Kind::label)
            count->problem("is for label");
    }
    if (const auto timeout = map.optional("timeout")) {
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout->as_duration()).count();
        check.timeout_seconds = static_cast<std::uint64_t>(std::max<std::int64_t>(seconds, 0));
        if (check.timeout_seconds < 1 || check.timeout_seconds > max_timeout_seconds)
            timeout->problem("expected 1s to 60s");
        if (check.kind != Kind::check_container && check.kind != Kind::command)
            timeout->problem("is for check_container and command");
    }
    map.finish();
    return check;
}

} // namespace

std::string HealthCheck::describe() const {
    std::string text;
    for (const auto& [key, known] : kinds) {
        if (known == kind)
            text = key;
    }
    text += kind == Kind::command ? fmt::format(" {}", fmt::join(command, " ")) : " " + target;
    return kind == Kind::label && at_least > 1 ? fmt::format("{}, at least {}", text, at_least) : text;
}

std::vector<HealthCheck> read_health_checks(ConfigMap& root) {
    std::vector<HealthCheck> checks;
    for (ConfigMap& map : root.optional_maps("health")) {
        HealthCheck check = read_check(map);
        if (checks.size() == max_checks) {
            map.problem("more than 64 checks");
            break;
        }
        const bool known = std::any_of(checks.begin(), checks.end(),
                                       [&](const HealthCheck& other) { return other.name == check.name; });
        if (known)
            map.problem(fmt::format("there is a check {} already", check.name));
        checks.push_back(std::move(check));
    }
    return checks;
}

} // namespace base
