#include "ocirun/reports.hpp"

#include <unistd.h>

#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "base/cli.hpp"
#include "base/files.hpp"
#include "base/process.hpp"

namespace ocirun {

using engine::runtime::Runtime;
using engine::runtime::Status;

namespace {

bool wants_json(const Arguments& arguments) {
    const std::string format = arguments.get("format");
    if (!format.empty() && format != "json" && format != "table")
        throw base::UsageError("option --format: table or json");
    return format == "json";
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    for (std::size_t begin = line.find_first_not_of(' '); begin != std::string_view::npos;) {
        const std::size_t end = line.find(' ', begin);
        words.push_back(line.substr(begin, end - begin));
        begin = line.find_first_not_of(' ', end);
    }
    return words;
}

/// The heading and the lines of `pids` in the output of ps(1), by its column PID.
std::string lines_of(const std::string& output, const std::vector<pid_t>& pids) {
    std::string result;
    std::size_t column = std::string::npos;
    for (std::size_t begin = 0; begin < output.size();) {
        const std::size_t end = std::min(output.find('\n', begin), output.size());
        const std::string_view line(output.data() + begin, end - begin);
        begin = end + 1;
        const std::vector<std::string_view> words = words_of(line);
        bool wanted = false;
        if (column == std::string::npos) {
            const auto heading = std::find(words.begin(), words.end(), "PID");
            if (heading == words.end())
                throw base::UsageError("ps: its output has no column PID");
            column = static_cast<std::size_t>(heading - words.begin());
            wanted = true;
        } else if (column < words.size()) {
            pid_t pid = 0;
            std::from_chars(words[column].data(), words[column].data() + words[column].size(), pid);
            wanted = std::find(pids.begin(), pids.end(), pid) != pids.end();
        }
        if (wanted)
            result.append(line).append("\n");
    }
    return result;
}

std::chrono::milliseconds interval_of(const Arguments& arguments) {
    const std::string text = arguments.has("interval") ? arguments.get("interval") : "5s";
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    const std::int64_t factor = unit == "ms" ? 1 : unit == "s" ? 1000 : unit == "m" ? 60'000 : 0;
    if (error != std::errc{} || factor == 0 || value <= 0 || value > 1'000'000)
        throw base::UsageError("option --interval: \"" + text + "\" is not a time as 500ms, 5s or 1m");
    return std::chrono::milliseconds(value * factor);
}

} // namespace

void print(const std::string& text) {
    base::write_all(STDOUT_FILENO, text, "standard output");
}

std::string container_id(const Arguments& arguments, std::size_t most) {
    if (arguments.rest().empty())
        throw base::UsageError("a container's id is missing");
    if (arguments.rest().size() > most)
        throw base::UsageError("unexpected argument " + arguments.rest()[most]);
    return arguments.rest().front();
}

void print_list(Runtime& runtime, const Arguments& arguments) {
    if (!arguments.rest().empty())
        throw base::UsageError("unexpected argument " + arguments.rest().front());
    const bool json = wants_json(arguments);
    std::string text;
    if (arguments.has("quiet")) {
        for (const std::string& id : runtime.ids())
            text += id + "\n";
        print(text);
        return;
    }
    if (!json)
        text = fmt::format("{:<24} {:<8} {:<9} {:<40} {}\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED");
    for (const auto& [state, status] : runtime.list()) {
        if (json)
            text += (text.empty() ? "[" : ",") + engine::runtime::state_document(state, status, false);
        else
            text += fmt::format("{:<24} {:<8} {:<9} {:<40} {}\n", state.id, status == Status::stopped ? 0 : state.pid,
                                engine::runtime::to_string(status), state.bundle, state.created);
    }
    if (json)
        text += text.empty() ? "[]\n" : "]\n";
    print(text);
}

void print_processes(Runtime& runtime, const Arguments& arguments) {
    const bool json = wants_json(arguments);
    const std::vector<pid_t> pids = runtime.processes(container_id(arguments, std::numeric_limits<std::size_t>::max()));
    const std::vector<std::string>& rest = arguments.rest();
    if (rest.size() > 1 && !json) {
        std::vector<std::string> command{"ps"};
        command.insert(command.end(), rest.begin() + 1, rest.end());
        print(lines_of(base::run_checked(command), pids));
        return;
    }
    std::string text = json ? "[" : "PID\n";
    const char* separator = "";
    for (const pid_t pid : pids) {
        text += json ? separator + std::to_string(pid) : std::to_string(pid) + "\n";
        separator = ",";
    }
    print(json ? text + "]\n" : text);
}

void print_events(Runtime& runtime, const Arguments& arguments) {
    const std::string id = container_id(arguments);
    if (arguments.has("stats")) {
        print(runtime.statistics(id) + "\n");
        return;
    }
    runtime.watch(id, interval_of(arguments), [](const std::string& event) { print(event + "\n"); });
}

} // namespace ocirun
