#include "runtime/systemd_scope.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/error.hpp"
#include "base/process.hpp"
#include "runtime/privileges.hpp"

namespace engine::runtime {

namespace {

constexpr const char* program = "ocirun-systemd";

/// Beside ocirun, whose path callers give; they need not give a PATH, and podman's do not. Else where PATH says. Empty:
/// nowhere.
std::string find_program() {
    const std::string own = program_invocation_name;
    const auto is_there = [](const std::string& directory) {
        return !directory.empty() && access((directory + "/" + program).c_str(), X_OK) == 0;
    };
    if (const std::size_t slash = own.rfind('/'); slash != std::string::npos && is_there(own.substr(0, slash)))
        return own.substr(0, slash + 1) + program;
    const char* const path = std::getenv("PATH");
    std::string_view rest = path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
    while (!rest.empty()) {
        const std::size_t colon = rest.find(':');
        const std::string directory(rest.substr(0, colon));
        if (is_there(directory))
            return directory + "/" + program;
        rest = colon == std::string_view::npos ? std::string_view{} : rest.substr(colon + 1);
    }
    return {};
}

/// The program's command line; a user has a systemd of his own, also as root of a user namespace.
std::vector<std::string> command_line(std::initializer_list<std::string> words) {
    std::vector<std::string> command{find_program()};
    if (command.front().empty())
        throw base::Error(ENOENT, std::string(program) + ", for --systemd-cgroup, beside ocirun and in PATH");
    if (!is_host_root())
        command.emplace_back("--user");
    command.insert(command.end(), words);
    return command;
}

void check_name(const std::string& name, const std::string& path) {
    const bool valid = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
               c == '.' || c == '@' || c == '\\' || c == '+';
    });
    if (!valid)
        throw base::Error("linux.cgroupsPath: \"" + path + "\" is not of the form SLICE:PREFIX:NAME");
}

void append_limits(std::vector<std::string>& command, const std::vector<CgroupWrite>& limits) {
    for (const CgroupWrite& entry : limits)
        command.push_back(entry.file + "=" + entry.value);
}

} // namespace

bool has_systemd_program() {
    return !find_program().empty();
}

SystemdScope systemd_scope(const Linux& linux_part, const std::string& id) {
    std::string path = linux_part.systemd_path;
    if (path.empty() && !linux_part.cgroups_path.empty())
        throw base::Error("linux.cgroupsPath: \"" + linux_part.cgroups_path +
                          "\" is a path; systemd takes SLICE:PREFIX:NAME");
    if (path.empty())
        path = ":ocirun:" + id;
    const std::size_t first = path.find(':'), second = path.find(':', first + 1);
    if (second == std::string::npos || path.find(':', second + 1) != std::string::npos)
        throw base::Error("linux.cgroupsPath: \"" + path + "\" is not of the form SLICE:PREFIX:NAME");
    SystemdScope scope;
    scope.slice = path.substr(0, first);
    if (scope.slice.empty())
        scope.slice = is_host_root() ? "system.slice" : "user.slice";
    const std::string prefix = path.substr(first + 1, second - first - 1), name = path.substr(second + 1);
    scope.unit = (prefix.empty() ? name : prefix + "-" + name) + ".scope";
    check_name(scope.slice, path);
    check_name(name, path);
    check_name(scope.unit, path);
    if (!scope.slice.ends_with(".slice"))
        throw base::Error("linux.cgroupsPath: \"" + scope.slice + "\" is no slice: its name ends in .slice");
    return scope;
}

std::string start_scope(const SystemdScope& scope, pid_t pid, const std::vector<CgroupWrite>& limits) {
    std::vector<std::string> command = command_line({"start", scope.unit, scope.slice, std::to_string(pid)});
    append_limits(command, limits);
    base::run_checked(command);
    // Told by the kernel, not by the bus: the process is there, or nothing was done.
    std::string path = Cgroup::of_process(pid);
    if (!path.ends_with("/" + scope.unit))
        throw base::Error("systemd started " + scope.unit + ", but the container's process is in cgroup " + path);
    return path;
}

void join_scope(const std::string& unit, const std::string& below, pid_t pid) {
    base::run_checked(command_line({"attach", unit, below.empty() ? "/" : below, std::to_string(pid)}));
}

void change_scope(const std::string& unit, const Cgroup& group, const std::vector<CgroupWrite>& limits) {
    if (limits.empty())
        return;
    std::vector<CgroupWrite> whole = limits;
    for (CgroupWrite& entry : whole)
        if (entry.file == "cpu.max" && group.has_controller("cpu")) { // half of which may have been given
            entry.value = group.read("cpu.max");
            entry.value.erase(entry.value.find_last_not_of('\n') + 1);
        }
    std::vector<std::string> command = command_line({"set", unit});
    append_limits(command, whole);
    base::run_checked(command);
}

void stop_scope(const std::string& unit) {
    base::run_checked(command_line({"stop", unit}));
}

} // namespace engine::runtime
