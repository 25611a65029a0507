#include "runtime/systemd_scope.hpp"

#include <unistd.h>

#include "base/error.hpp"
#include "base/process.hpp"
#include "runtime/cgroup.hpp"

namespace engine::runtime {

namespace {

constexpr const char* program = "ocirun-systemd";

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
        scope.slice = geteuid() == 0 ? "system.slice" : "user.slice";
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
    std::vector<std::string> command{program, "start", scope.unit, scope.slice, std::to_string(pid)};
    append_limits(command, limits);
    base::run_checked(command);
    // Told by the kernel, not by the bus: the process is there, or nothing was done.
    std::string path = Cgroup::of_process(pid);
    if (!path.ends_with("/" + scope.unit))
        throw base::Error("systemd started " + scope.unit + ", but the container's process is in cgroup " + path);
    return path;
}

void change_scope(const std::string& unit, const std::vector<CgroupWrite>& limits) {
    if (limits.empty())
        return;
    std::vector<std::string> command{program, "set", unit};
    append_limits(command, limits);
    base::run_checked(command);
}

} // namespace engine::runtime
