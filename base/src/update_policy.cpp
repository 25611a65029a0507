#include "update_policy.hpp"

#include <map>

namespace base {
namespace {

constexpr unsigned day_minutes = 24 * 60;
constexpr std::uint8_t every_day = 0x7f;
constexpr std::uint64_t shortest_interval = 1;
constexpr std::uint64_t longest_interval = 7 * 24 * 3600;

const std::map<std::string, UpdatePolicy::Mode, std::less<>> modes{{"off", UpdatePolicy::Mode::off},
                                                                   {"check", UpdatePolicy::Mode::check},
                                                                   {"stage", UpdatePolicy::Mode::stage},
                                                                   {"immediate", UpdatePolicy::Mode::immediate},
                                                                   {"windows", UpdatePolicy::Mode::windows}};
constexpr std::array day_names{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

/// "HH:MM", 00:00 to 24:00.
std::optional<unsigned> parse_time(std::string_view text) {
    const auto digit = [&](std::size_t at) {
        return text[at] >= '0' && text[at] <= '9' ? static_cast<unsigned>(text[at] - '0') : 99U;
    };
    if (text.size() != 5 || text[2] != ':')
        return std::nullopt;
    for (const std::size_t at : {0U, 1U, 3U, 4U}) {
        if (digit(at) > 9)
            return std::nullopt;
    }
    const unsigned hours = digit(0) * 10 + digit(1);
    const unsigned minutes = digit(3) * 10 + digit(4);
    if (minutes > 59 || hours * 60 + minutes > day_minutes)
        return std::nullopt;
    return hours * 60 + minutes;
}

unsigned read_time(ConfigMap& window, const std::string& key) {
    const auto time = parse_time(window.required_string(key));
    if (!time)
        window.problem(key + ": expected HH:MM in quotes");
    return time.value_or(0);
}

UpdatePolicy::Window read_window(ConfigMap& map) {
    UpdatePolicy::Window window;
    for (const std::string& name : map.optional_strings("days")) {
        const auto found = std::find(day_names.begin(), day_names.end(), name);
        if (found == day_names.end())
            map.problem("days: \"" + name + "\" is none of mon, tue, wed, thu, fri, sat, sun");
        else
            window.days = static_cast<std::uint8_t>(window.days | 1U << (found - day_names.begin()));
    }
    if (window.days == 0)
        window.days = every_day;
    window.start = read_time(map, "from");
    window.end = read_time(map, "to");
    if (window.start == window.end)
        map.problem("from and to are the same time; a whole day is 00:00 to 24:00");
    map.finish();
    return window;
}

std::optional<RebootLock> read_lock(ConfigMap& update) {
    auto map = update.optional_map("lock");
    if (!map)
        return std::nullopt;
    RebootLock lock;
    lock.url = map->required_string("url");
    if (!lock.url.starts_with("https://") && !lock.url.starts_with("http://"))
        map->problem("url: expected https:// or http://");
    lock.group = map->optional_string("group").value_or(lock.group);
    // The FleetLock protocol's rule for groups.
    const bool valid = !lock.group.empty() && std::all_of(lock.group.begin(), lock.group.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
    });
    if (!valid)
        map->problem("group: expected letters, digits, dots and dashes");
    lock.id = map->optional_string("id").value_or("");
    map->finish();
    return lock;
}

} // namespace

UpdatePolicy read_update_policy(ConfigMap& update) {
    UpdatePolicy policy;
    if (const auto value = update.optional("policy")) {
        const auto found = modes.find(value->as_string());
        if (found == modes.end())
            value->problem("expected off, check, stage, immediate or windows");
        else
            policy.mode = found->second;
    }
    if (const auto interval = update.optional_duration("interval"))
        policy.interval_seconds =
            static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(*interval).count());
    if (policy.interval_seconds < shortest_interval || policy.interval_seconds > longest_interval)
        update.problem("interval: expected 1s to 7d");
    policy.zone = update.optional_string("zone").value_or(policy.zone);
    for (ConfigMap& window : update.optional_maps("windows"))
        policy.windows.push_back(read_window(window));
    if (policy.mode == UpdatePolicy::Mode::windows && policy.windows.empty())
        update.problem("windows: policy `windows` needs at least one");
    policy.lock = read_lock(update);
    return policy;
}

} // namespace base
