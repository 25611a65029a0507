#include "runtime/statistics.hpp"

#include <dirent.h>
#include <poll.h>

#include <charconv>
#include <map>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/json.hpp"
#include "base/scope_exit.hpp"
#include "runtime/cgroup.hpp"
#include "runtime/kernel.hpp"

namespace engine::runtime {

namespace json = boost::json;

namespace {

using Counters = std::map<std::string, std::uint64_t, std::less<>>;

std::optional<std::string> read(const Cgroup& group, const char* file) {
    try {
        return group.read(file);
    } catch (const base::Error& error) {
        if (error.error() == ENOENT || error.error() == EOPNOTSUPP || error.error() == ENODEV)
            return std::nullopt; // not this controller, not this kernel, or the group has just gone
        throw;
    }
}

/// "max" is the largest number, as runc has it.
std::uint64_t number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} ? value : std::numeric_limits<std::uint64_t>::max();
}

template <typename F>
void each_line(std::string_view text, F&& visit) {
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        visit(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    }
}

/// A file of lines "NAME NUMBER".
Counters counters(const Cgroup& group, const char* file) {
    Counters result;
    if (const std::optional<std::string> text = read(group, file))
        each_line(*text, [&](std::string_view line) {
            if (const std::size_t space = line.find(' '); space != std::string_view::npos)
                result.emplace(line.substr(0, space), number(line.substr(space + 1)));
        });
    return result;
}

std::uint64_t at(const Counters& counters, std::string_view name) {
    const auto found = counters.find(name);
    return found == counters.end() ? 0 : found->second;
}

json::object cpu_statistics(const Cgroup& group) {
    const Counters stat = counters(group, "cpu.stat"); // in microseconds; the events have nanoseconds
    return {{"usage", json::object{{"total", at(stat, "usage_usec") * 1000},
                                   {"user", at(stat, "user_usec") * 1000},
                                   {"kernel", at(stat, "system_usec") * 1000}}},
            {"throttling", json::object{{"periods", at(stat, "nr_periods")},
                                        {"throttledPeriods", at(stat, "nr_throttled")},
                                        {"throttledTime", at(stat, "throttled_usec") * 1000}}}};
}

json::object memory_use(const Cgroup& group, const char* current, const char* limit, std::uint64_t failures) {
    const std::optional<std::string> use = read(group, current), most = read(group, limit);
    return {{"usage", use ? number(*use) : 0}, {"limit", most ? number(*most) : 0}, {"failcnt", failures}};
}

std::optional<json::object> memory_statistics(const Cgroup& group) {
    const std::optional<std::string> current = read(group, "memory.current");
    if (!current)
        return std::nullopt;
    const Counters stat = counters(group, "memory.stat"), events = counters(group, "memory.events");
    json::object raw;
    for (const auto& [name, value] : stat)
        raw[name] = value;
    return json::object{{"cache", at(stat, "file")},
                        {"usage", memory_use(group, "memory.current", "memory.max", at(events, "max"))},
                        {"swap", memory_use(group, "memory.swap.current", "memory.swap.max", 0)},
                        {"raw", std::move(raw)}};
}

/// io.stat: "MAJOR:MINOR rbytes=N wbytes=N rios=N wios=N ...".
std::optional<json::object> block_statistics(const Cgroup& group) {
    const std::optional<std::string> text = read(group, "io.stat");
    if (!text)
        return std::nullopt;
    json::array bytes, operations;
    each_line(*text, [&](std::string_view line) {
        const std::size_t colon = line.find(':'), space = line.find(' ');
        if (colon == std::string_view::npos || space == std::string_view::npos || colon > space)
            return;
        const auto add = [&](json::array& list, std::string_view key, const char* name) {
            const std::size_t found = line.find(key);
            if (found != std::string_view::npos)
                list.push_back(json::object{{"major", number(line.substr(0, colon))},
                                            {"minor", number(line.substr(colon + 1))},
                                            {"op", name},
                                            {"value", number(line.substr(found + key.size()))}});
        };
        add(bytes, " rbytes=", "Read");
        add(bytes, " wbytes=", "Write");
        add(operations, " rios=", "Read");
        add(operations, " wios=", "Write");
    });
    return json::object{{"ioServiceBytesRecursive", std::move(bytes)}, {"ioServicedRecursive", std::move(operations)}};
}

json::object huge_page_statistics(const Cgroup& group) {
    json::object sizes;
    DIR* stream = fdopendir(openat(group.fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (stream == nullptr)
        return sizes;
    const base::ScopeExit close_stream([&] { closedir(stream); });
    while (const dirent* entry = readdir(stream)) {
        const std::string_view name(entry->d_name);
        constexpr std::string_view prefix = "hugetlb.", suffix = ".current";
        if (!name.starts_with(prefix) || !name.ends_with(suffix) || name.ends_with(".rsvd.current"))
            continue;
        const std::string size(name.substr(prefix.size(), name.size() - prefix.size() - suffix.size()));
        const std::optional<std::string> use = read(group, entry->d_name);
        const Counters events = counters(group, ("hugetlb." + size + ".events").c_str());
        sizes[size] = json::object{{"usage", use ? number(*use) : 0}, {"failcnt", at(events, "max")}};
    }
    return sizes;
}

std::string event(const ContainerState& state, const char* type) {
    return json::serialize(json::object{{"type", type}, {"id", state.id}});
}

} // namespace

std::string statistics_event(const ContainerState& state) {
    const Cgroup group = Cgroup::open(state.cgroup);
    if (group.fd() < 0)
        throw base::Error("container \"" + state.id + "\": its cgroup is gone");
    json::object data{{"cpu", cpu_statistics(group)}};
    if (auto memory = memory_statistics(group))
        data["memory"] = std::move(*memory);
    if (const auto current = read(group, "pids.current"))
        data["pids"] =
            json::object{{"current", number(*current)}, {"limit", number(read(group, "pids.max").value_or("0"))}};
    if (auto block = block_statistics(group))
        data["blkio"] = std::move(*block);
    data["hugetlb"] = huge_page_statistics(group);
    return json::serialize(json::object{{"type", "stats"}, {"id", state.id}, {"data", std::move(data)}});
}

void watch_container(const ContainerState& state, std::chrono::milliseconds interval,
                     const std::function<void(const std::string&)>& report) {
    using Clock = std::chrono::steady_clock;
    const base::UniqueFd process(kernel::pidfd_open(state.pid));
    if (!process || process_start_time(state.pid) != state.start_time)
        return;
    const Cgroup group = Cgroup::open(state.cgroup);
    // kernfs reports a change of the file as POLLPRI since the last read; absent without the memory controller.
    const base::UniqueFd memory(openat(group.fd(), "memory.events", O_RDONLY | O_CLOEXEC));
    std::uint64_t kills = at(counters(group, "memory.events"), "oom_kill");
    const auto report_kills = [&] {
        const std::uint64_t now = at(counters(group, "memory.events"), "oom_kill");
        if (now > kills)
            report(event(state, "oom"));
        kills = std::max(now, kills);
    };
    Clock::time_point next = Clock::now();
    for (;;) {
        if (Clock::now() >= next) {
            report(statistics_event(state));
            next += interval;
        }
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(next - Clock::now());
        pollfd waits[] = {{process.get(), POLLIN, 0}, {memory.get(), POLLPRI, 0}};
        if (poll(waits, std::size(waits), static_cast<int>(std::max<std::int64_t>(left.count(), 0))) < 0 &&
            errno != EINTR)
            base::throw_errno("poll");
        if (waits[1].revents != 0) {
            char unused[512];
            [[maybe_unused]] const ssize_t size = pread(memory.get(), unused, sizeof unused, 0);
            report_kills();
        }
        if (waits[0].revents != 0) {
            report_kills(); // the kernel holds changes of the file back for some milliseconds, the end it tells at once
            return;
        }
    }
}

} // namespace engine::runtime
