#include "api/process_table.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <charconv>
#include <ctime>

#include "base/error.hpp"
#include "base/files.hpp"

namespace engine::api {
namespace {

std::string read_if_there(const std::string& path) {
    try {
        return base::read_file(path, 1024 * 1024);
    } catch (const base::Error&) {
        return {};
    }
}

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    while (true) {
        text.remove_prefix(std::min(text.find_first_not_of(" \n"), text.size()));
        if (text.empty())
            return words;
        const std::size_t end = std::min(text.find_first_of(" \n"), text.size());
        words.emplace_back(text.substr(0, end));
        text.remove_prefix(end);
    }
}

long number(const std::string& text) {
    long value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

std::time_t boot_time() {
    const std::string stat = read_if_there("/proc/stat");
    const std::size_t at = stat.find("\nbtime ");
    return at == std::string::npos ? 0 : number(words_of(std::string_view(stat).substr(at + 7)).at(0));
}

std::string start_text(long ticks) {
    const std::time_t when = boot_time() + ticks / ::sysconf(_SC_CLK_TCK);
    std::tm parts{};
    ::gmtime_r(&when, &parts);
    return fmt::format("{:02}:{:02}", parts.tm_hour, parts.tm_min);
}

std::string command_line(const std::string& directory, const std::string& name) {
    std::string text = read_if_there(directory + "/cmdline");
    while (!text.empty() && text.back() == '\0')
        text.pop_back();
    std::replace(text.begin(), text.end(), '\0', ' ');
    return text.empty() ? "[" + name + "]" : text;
}

std::string terminal_name(long device) {
    const auto number_of = static_cast<dev_t>(device);
    return device == 0 ? "?" : major(number_of) == 136 ? fmt::format("pts/{}", minor(number_of)) : "tty";
}

/// Empty when the process is gone.
std::vector<std::string> process_row(const std::string& pid) {
    const std::string directory = "/proc/" + pid;
    const std::string stat = read_if_there(directory + "/stat");
    struct stat owner {};
    // The name is in parentheses and may hold any, so the last one counts (proc_pid_stat(5)).
    const std::size_t open = stat.find('(');
    const std::size_t close = stat.rfind(')');
    if (open == std::string::npos || close == std::string::npos || ::stat(directory.c_str(), &owner) != 0)
        return {};
    const std::vector<std::string> fields = words_of(std::string_view(stat).substr(close + 1));
    if (fields.size() < 20)
        return {};
    const long seconds = (number(fields[11]) + number(fields[12])) / ::sysconf(_SC_CLK_TCK);
    return {std::to_string(owner.st_uid),
            pid,
            fields[1],
            "0",
            start_text(number(fields[19])),
            terminal_name(number(fields[4])),
            fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
            command_line(directory, stat.substr(open + 1, close - open - 1))};
}

} // namespace

std::vector<std::vector<std::string>> process_table(const std::string& cgroup) {
    std::vector<std::vector<std::string>> rows;
    std::vector<std::string> directories{cgroup};
    std::error_code ignored; // groups come and go
    for (auto it = std::filesystem::recursive_directory_iterator(cgroup, ignored); it != end(it); it.increment(ignored))
        if (it->is_directory(ignored))
            directories.push_back(it->path().string());
    for (const std::string& directory : directories)
        for (const std::string& pid : words_of(read_if_there(directory + "/cgroup.procs")))
            if (auto row = process_row(pid); !row.empty())
                rows.push_back(std::move(row));
    return rows;
}

} // namespace engine::api
