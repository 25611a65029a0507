// `exec`: the process to be, from the request and from what the container was created with.
#include "runtime/exec_request.hpp"

#include <charconv>

#include "base/error.hpp"
#include "base/files.hpp"
#include "runtime/names.hpp"

namespace engine::runtime {

namespace {

std::uint32_t parse_number(std::string_view text, const char* what) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size())
        throw base::Error(std::string(what) + " \"" + std::string(text) + "\" is not a number");
    return number;
}

void apply_user(User& user, std::string_view text) {
    const std::size_t colon = text.find(':');
    user.uid = parse_number(text.substr(0, colon), "user");
    if (colon != std::string_view::npos)
        user.gid = parse_number(text.substr(colon + 1), "group");
}

void add_capabilities(Process& process, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
        const std::optional<unsigned> number = capability_number(name);
        if (!number)
            throw base::Error("unknown capability \"" + name + "\"");
        if (!process.capabilities)
            process.capabilities.emplace();
        const std::uint64_t bit = std::uint64_t{1} << *number;
        process.capabilities->bounding |= bit;
        process.capabilities->permitted |= bit;
        process.capabilities->effective |= bit;
    }
}

void set_environment(std::vector<std::string>& environment, const std::string& variable) {
    const std::size_t equals = variable.find('=');
    if (equals == std::string::npos || equals == 0)
        throw base::Error("environment \"" + variable + "\" is not of the form NAME=value");
    const std::string prefix = variable.substr(0, equals + 1);
    for (std::string& existing : environment) {
        if (existing.starts_with(prefix)) {
            existing = variable;
            return;
        }
    }
    environment.push_back(variable);
}

} // namespace

Process exec_process(const ExecRequest& request, const Config& config) {
    if (!request.process_file.empty())
        return parse_process(base::read_file(request.process_file), request.process_file);
    if (!config.process)
        throw base::Error("config.json: \"process\" is missing");
    Process process = *config.process;
    process.args = request.args;
    process.terminal = request.terminal;
    process.console_rows = process.console_columns = 0;
    for (const std::string& variable : request.env)
        set_environment(process.env, variable);
    if (!request.cwd.empty())
        process.cwd = request.cwd;
    if (!request.user.empty()) {
        process.user.additional_gids.clear();
        apply_user(process.user, request.user);
    }
    for (const unsigned gid : request.additional_gids)
        process.user.additional_gids.push_back(gid);
    process.no_new_privileges |= request.no_new_privileges;
    if (!request.apparmor.empty())
        process.apparmor_profile = request.apparmor;
    add_capabilities(process, request.capabilities);
    return process;
}

} // namespace engine::runtime
