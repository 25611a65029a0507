#include "updater/policy.hpp"

#include <cstdlib>
#include <ctime>

#include "base/error.hpp"
#include "updater/boot_text.hpp"

namespace updater {

namespace {

using Window = base::UpdatePolicy::Window;
using Mode = base::UpdatePolicy::Mode;

constexpr std::int64_t minute_seconds = 60;
constexpr std::int64_t day_seconds = 24 * 3600;
constexpr unsigned days_a_week = 7;
constexpr const char* zone_database = "/usr/share/zoneinfo/";

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

/// Seconds of "+HH:MM" or "-HH:MM".
std::optional<std::int64_t> fixed_offset(std::string_view zone) noexcept {
    if (zone == "UTC")
        return 0;
    if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':' || !is_digit(zone[1]) ||
        !is_digit(zone[2]) || !is_digit(zone[4]) || !is_digit(zone[5]))
        return std::nullopt;
    const int hours = (zone[1] - '0') * 10 + (zone[2] - '0');
    const int minutes = (zone[4] - '0') * 10 + (zone[5] - '0');
    if (hours > 14 || minutes > 59)
        return std::nullopt;
    const std::int64_t seconds = (hours * 60 + minutes) * minute_seconds;
    return zone[0] == '-' ? -seconds : seconds;
}

/// At least the beginning of a POSIX TZ value: a name of three letters or more, and an offset.
bool is_posix_zone(std::string_view zone) noexcept {
    std::size_t letters = 0;
    while (letters < zone.size() && std::isalpha(static_cast<unsigned char>(zone[letters])) != 0)
        ++letters;
    const std::size_t sign = letters < zone.size() && (zone[letters] == '+' || zone[letters] == '-') ? 1 : 0;
    return letters >= 3 && letters + sign < zone.size() && is_digit(zone[letters + sign]);
}

bool is_in_database(const std::string& zone) {
    if (zone.empty() || zone.front() == '/' || zone.find("..") != std::string::npos)
        return false;
    std::error_code error;
    return std::filesystem::is_regular_file(zone_database + zone, error);
}

bool covers(const Window& window, unsigned weekday, unsigned minute) noexcept {
    const auto on = [&](unsigned day) {
        return (window.days >> day & 1U) != 0;
    };
    if (window.end > window.start)
        return on(weekday) && minute >= window.start && minute < window.end;
    // Over midnight: the days are those on which it begins.
    const unsigned before = (weekday + days_a_week - 1) % days_a_week;
    return (on(weekday) && minute >= window.start) || (on(before) && minute < window.end);
}

} // namespace

LocalClock clock_of(const std::string& zone) {
    if (const auto offset = fixed_offset(zone)) {
        return [offset = *offset](std::int64_t now) {
            const std::int64_t local = now + offset;
            const std::int64_t day = local >= 0 ? local / day_seconds : (local - day_seconds + 1) / day_seconds;
            constexpr std::int64_t thursday = 4; // 1970-01-01
            const std::int64_t weekday = ((day + thursday) % days_a_week + days_a_week) % days_a_week;
            return LocalTime{static_cast<unsigned>(weekday),
                             static_cast<unsigned>((local - day * day_seconds) / minute_seconds)};
        };
    }
    if (!is_in_database(zone) && !is_posix_zone(zone))
        throw base::Error(fmt::format("update.zone: '{}' is not known here: give UTC, +HH:MM, or a POSIX TZ value such "
                                      "as CET-1CEST,M3.5.0,M10.5.0/3",
                                      plain_text(zone, 100)));
    return [zone](std::int64_t now) {
        ::setenv("TZ", zone.c_str(), 1); // NOLINT(concurrency-mt-unsafe): updaterd has one thread
        ::tzset();
        const std::time_t time = now;
        struct tm parts {};
        ::localtime_r(&time, &parts);
        return LocalTime{static_cast<unsigned>(parts.tm_wday),
                         static_cast<unsigned>(parts.tm_hour * 60 + parts.tm_min)};
    };
}

bool is_open(const std::vector<Window>& windows, LocalTime now) noexcept {
    return std::any_of(windows.begin(), windows.end(),
                       [&](const Window& window) { return covers(window, now.weekday, now.minute); });
}

std::optional<std::int64_t> next_opening(const std::vector<Window>& windows, const LocalClock& clock,
                                         std::int64_t now) {
    if (is_open(windows, clock(now)))
        return now;
    // A week and a day, minute by minute: however the zone jumps, no rule of it has to be known here.
    const std::int64_t first = now - now % minute_seconds + minute_seconds;
    for (std::int64_t time = first; time < now + (days_a_week + 1) * day_seconds; time += minute_seconds) {
        if (is_open(windows, clock(time)))
            return time;
    }
    return std::nullopt;
}

PolicyAction decide(const PolicyFacts& facts) noexcept {
    if (facts.busy || !is_resting(facts.state))
        return PolicyAction::none;
    // Whatever the policy: a slot that is kept holds up everybody else.
    if (facts.has_lock && !facts.released && facts.is_good && facts.lock_due)
        return PolicyAction::release_lock;
    if (facts.mode == Mode::off)
        return PolicyAction::none;
    const bool wants_reboot = facts.state == State::staged &&
                              (facts.mode == Mode::immediate || (facts.mode == Mode::windows && facts.window_open));
    if (wants_reboot && !facts.has_lock)
        return PolicyAction::reboot;
    if (wants_reboot && facts.lock_due)
        return PolicyAction::take_lock;
    // While the lock is waited for a newer release may come.
    if (facts.look_due)
        return facts.mode == Mode::check ? PolicyAction::check : PolicyAction::stage;
    return PolicyAction::none;
}

std::chrono::milliseconds retry_pause(unsigned failures, double random) noexcept {
    constexpr double first = 10'000;
    constexpr double longest = 600'000;
    const double pause = std::min(first * static_cast<double>(1U << std::min(failures, 16U)), longest);
    return std::chrono::milliseconds(static_cast<std::int64_t>(pause * (0.75 + 0.5 * std::clamp(random, 0.0, 1.0))));
}

std::string_view to_string(Mode mode) noexcept {
    switch (mode) {
    case Mode::off:
        return "off";
    case Mode::check:
        return "check";
    case Mode::stage:
        return "stage";
    case Mode::immediate:
        return "immediate";
    case Mode::windows:
        return "windows";
    }
    return "";
}

} // namespace updater
