#include "api/time_text.hpp"

#include <charconv>
#include <ctime>

#include "base/http/server.hpp"

namespace engine::api {
namespace {

using namespace std::chrono;

/// As docker's units package: one number, rounded down, with the words it uses.
std::string human_duration(seconds duration) {
    const auto count = duration.count();
    if (count < 1)
        return "Less than a second";
    if (count == 1)
        return "1 second";
    if (count < 60)
        return fmt::format("{} seconds", count);
    const auto minutes = count / 60;
    if (minutes == 1)
        return "About a minute";
    if (minutes < 60)
        return fmt::format("{} minutes", minutes);
    const auto hours = (count + 1800) / 3600;
    if (hours == 1)
        return "About an hour";
    if (hours < 48)
        return fmt::format("{} hours", hours);
    if (hours < 24 * 7 * 2)
        return fmt::format("{} days", hours / 24);
    if (hours < 24 * 30 * 2)
        return fmt::format("{} weeks", hours / 24 / 7);
    if (hours < 24 * 365 * 2)
        return fmt::format("{} months", hours / 24 / 30);
    return fmt::format("{} years", hours / 24 / 365);
}

std::string since(const std::optional<TimePoint>& then, TimePoint now) {
    return human_duration(then ? duration_cast<seconds>(now - *then) : seconds(0));
}

/// Takes a number of exactly `digits` digits off the text.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
    int number = 0;
    if (text.size() < digits)
        return std::nullopt;
    const auto [end, error] = std::from_chars(text.data(), text.data() + digits, number);
    if (error != std::errc() || end != text.data() + digits || number < 0)
        return std::nullopt;
    text.remove_prefix(digits);
    return number;
}

bool take(std::string_view& text, char c) {
    if (text.empty() || text.front() != c)
        return false;
    text.remove_prefix(1);
    return true;
}

/// A fraction's digits as nanoseconds; those after the ninth do not count.
std::optional<nanoseconds> take_fraction(std::string_view& text) {
    std::int64_t value = 0;
    std::int64_t scale = 1'000'000'000;
    std::size_t digits = 0;
    for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1), ++digits) {
        scale /= 10;
        value += scale * (text.front() - '0');
    }
    if (digits == 0)
        return std::nullopt;
    return nanoseconds(value);
}

/// "Z", "+01:00"; the seconds east of Greenwich.
std::optional<seconds> take_zone(std::string_view& text) {
    if (take(text, 'Z') || take(text, 'z'))
        return seconds(0);
    const bool west = !text.empty() && text.front() == '-';
    if (!take(text, '+') && !take(text, '-'))
        return std::nullopt;
    const auto hours_east = take_number(text, 2);
    if (!hours_east || !take(text, ':'))
        return std::nullopt;
    const auto minutes_east = take_number(text, 2);
    if (!minutes_east || *hours_east > 23 || *minutes_east > 59)
        return std::nullopt;
    const seconds offset = hours(*hours_east) + minutes(*minutes_east);
    return west ? -offset : offset;
}

} // namespace

std::string rfc3339(TimePoint time) {
    const std::int64_t total = unix_nanoseconds(time);
    const std::time_t whole = unix_seconds(time);
    std::tm parts{};
    ::gmtime_r(&whole, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                       parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                       total - whole * std::int64_t{1'000'000'000});
}

std::string rfc3339(const std::optional<TimePoint>& time) {
    return time ? rfc3339(*time) : "0001-01-01T00:00:00Z";
}

std::optional<TimePoint> parse_rfc3339(std::string_view text) {
    const auto year = take_number(text, 4);
    if (!year || !take(text, '-'))
        return std::nullopt;
    const auto month = take_number(text, 2);
    if (!month || !take(text, '-'))
        return std::nullopt;
    const auto day = take_number(text, 2);
    if (!day || !(take(text, 'T') || take(text, 't')))
        return std::nullopt;
    const auto hour = take_number(text, 2);
    if (!hour || !take(text, ':'))
        return std::nullopt;
    const auto minute = take_number(text, 2);
    if (!minute || !take(text, ':'))
        return std::nullopt;
    const auto second = take_number(text, 2);
    if (!second)
        return std::nullopt;
    nanoseconds fraction{0};
    if (take(text, '.')) {
        const auto taken = take_fraction(text);
        if (!taken)
            return std::nullopt;
        fraction = *taken;
    }
    const auto zone = take_zone(text);
    const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                           std::chrono::day(static_cast<unsigned>(*day))};
    // system_clock counts nanoseconds in 64 bits: 1678 to 2261.
    const bool in_range = *year >= 1700 && *year <= 2250 && *hour <= 23 && *minute <= 59 && *second <= 60;
    if (!zone || !text.empty() || !date.ok() || !in_range)
        return std::nullopt;
    return TimePoint(sys_days(date).time_since_epoch() + hours(*hour) + minutes(*minute) + seconds(*second) + fraction -
                     *zone);
}

std::optional<TimePoint> parse_timestamp(std::string_view text, const std::string& what) {
    if (text.empty() || text == "0")
        return std::nullopt;
    if (const auto time = parse_rfc3339(text))
        return time;
    std::int64_t whole = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
    constexpr std::int64_t limit = 8'000'000'000; // the year 2223
    if (error == std::errc() && whole >= -limit && whole <= limit) {
        std::string_view rest(end, text.size() - static_cast<std::size_t>(end - text.data()));
        if (rest.empty())
            return TimePoint(seconds(whole));
        if (take(rest, '.')) {
            const auto fraction = take_fraction(rest);
            if (fraction && rest.empty())
                return TimePoint(seconds(whole) + *fraction);
        }
    }
    throw base::http::HttpError(400,
                                fmt::format("invalid value for \"{}\": {:?} is no time", what, text.substr(0, 64)));
}

std::int64_t unix_seconds(TimePoint time) {
    return floor<seconds>(time).time_since_epoch().count();
}

std::int64_t unix_nanoseconds(TimePoint time) {
    return duration_cast<nanoseconds>(time.time_since_epoch()).count();
}

std::string status_text(const ContainerState& state, TimePoint now) {
    switch (state.status) {
    case Status::created:
        return "Created";
    case Status::running: {
        const std::string up = "Up " + since(state.started, now);
        if (state.health == Health::none)
            return up;
        return fmt::format("{} ({}{})", up, state.health == Health::starting ? "health: " : "",
                           to_string(state.health));
    }
    case Status::paused:
        return fmt::format("Up {} (Paused)", since(state.started, now));
    case Status::restarting:
        return fmt::format("Restarting ({}) {} ago", state.exit_code, since(state.finished, now));
    case Status::exited:
        return fmt::format("Exited ({}) {} ago", state.exit_code, since(state.finished, now));
    case Status::dead:
        return "Dead";
    case Status::removing:
        return "Removal In Progress";
    }
    return "";
}

} // namespace engine::api
