#include "ocirun/program.hpp"

#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <limits>

#include "base/cli.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "ocirun/commands.hpp"
#include "ocirun/error_log.hpp"
#include "ocirun/reports.hpp"
#include "ocirun/update_request.hpp"
#include "runtime/names.hpp"
#include "runtime/own_binary.hpp"
#include "runtime/privileges.hpp"
#include "runtime/runtime.hpp"
#include "runtime/specification.hpp"

namespace ocirun {

namespace {

using engine::runtime::CgroupManager;
using engine::runtime::ExecRequest;
using engine::runtime::LaunchOptions;
using engine::runtime::Runtime;

std::string absolute(const std::string& path) {
    char* const resolved = realpath(path.c_str(), nullptr);
    if (resolved == nullptr)
        base::throw_errno("resolve " + path);
    std::string result(resolved);
    std::free(resolved);
    return result;
}

LaunchOptions launch_options(const Arguments& arguments) {
    LaunchOptions options;
    options.id = container_id(arguments);
    options.bundle = absolute(arguments.has("bundle") ? arguments.get("bundle") : ".");
    options.config_file = arguments.get("config");
    options.pid_file = arguments.get("pid-file");
    options.console_socket = arguments.get("console-socket");
    options.preserve_fds = arguments.number("preserve-fds");
    options.no_pivot = arguments.has("no-pivot");
    options.new_keyring = !arguments.has("no-new-keyring");
    return options;
}

int run_exec(Runtime& runtime, const Arguments& arguments) {
    ExecRequest request;
    request.id = container_id(arguments, std::numeric_limits<std::size_t>::max());
    request.process_file = arguments.get("process");
    request.args.assign(arguments.rest().begin() + 1, arguments.rest().end());
    if (request.process_file.empty() == request.args.empty())
        throw base::UsageError("give either a program or --process");
    if (!arguments.get("process-label").empty())
        throw base::UsageError("option --process-label is not supported: this runtime has no SELinux support");
    request.env = arguments.all("env");
    request.user = arguments.get("user");
    request.cwd = arguments.get("cwd");
    request.capabilities = arguments.all("cap");
    request.apparmor = arguments.get("apparmor");
    for (const std::string& gid : arguments.all("additional-gids")) {
        if (gid.empty() || gid.size() > 9 || gid.find_first_not_of("0123456789") != std::string::npos)
            throw base::UsageError("group \"" + gid + "\" is not a number");
        request.additional_gids.push_back(static_cast<unsigned>(std::stoul(gid)));
    }
    request.terminal = arguments.has("tty");
    request.detach = arguments.has("detach");
    request.no_new_privileges = arguments.has("no-new-privs");
    request.ignore_paused = arguments.has("ignore-paused");
    request.pid_file = arguments.get("pid-file");
    request.console_socket = arguments.get("console-socket");
    request.preserve_fds = arguments.number("preserve-fds");
    return runtime.exec(request);
}

void write_spec(const Arguments& arguments) {
    const std::string path = (arguments.has("bundle") ? arguments.get("bundle") + "/" : std::string()) + "config.json";
    const base::UniqueFd file = base::open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    base::write_all(file.get(), engine::runtime::default_config(arguments.has("rootless")), path);
}

int signal_argument(const Arguments& arguments) {
    const std::string name = arguments.rest().size() > 1 ? arguments.rest()[1] : "TERM";
    const std::optional<int> signal = engine::runtime::signal_number(name);
    if (!signal)
        throw base::UsageError("unknown signal " + name);
    return *signal;
}

/// Commands after which a container's code runs beside or in this process.
bool enters_container(std::string_view command) {
    return command == "create" || command == "run" || command == "exec";
}

int run_command(const Command& command, const Arguments& arguments, Runtime& runtime) {
    const std::string_view name = command.name;
    if (name == "create")
        runtime.create(launch_options(arguments));
    else if (name == "start")
        runtime.start(container_id(arguments));
    else if (name == "run")
        return runtime.run({launch_options(arguments), arguments.has("detach"), arguments.has("keep")});
    else if (name == "exec")
        return run_exec(runtime, arguments);
    else if (name == "state") {
        const auto [state, status] = runtime.state(container_id(arguments));
        print(engine::runtime::state_document(state, status, true));
    } else if (name == "kill")
        runtime.kill(container_id(arguments, 2), signal_argument(arguments), arguments.has("all"));
    else if (name == "delete")
        runtime.remove(container_id(arguments), arguments.has("force"));
    else if (name == "list")
        print_list(runtime, arguments);
    else if (name == "ps")
        print_processes(runtime, arguments);
    else if (name == "events")
        print_events(runtime, arguments);
    else if (name == "pause" || name == "resume")
        runtime.pause(container_id(arguments), name == "pause");
    else if (name == "update") {
        const std::string id = container_id(arguments);
        const UpdateRequest request = update_request(arguments);
        runtime.update(id, request.document, request.name);
    }
    return 0;
}

CgroupManager cgroup_manager(const Arguments& global) {
    const std::string name = global.get("cgroup-manager");
    if (name == "systemd" || (name.empty() && global.has("systemd-cgroup")))
        return CgroupManager::systemd;
    if (name == "disabled")
        return CgroupManager::disabled;
    if (!name.empty() && name != "cgroupfs")
        throw base::UsageError("option --cgroup-manager: \"" + name + "\" is none of cgroupfs, systemd and disabled");
    return CgroupManager::cgroupfs;
}

std::string state_root(const Arguments& global) {
    if (global.has("root"))
        return global.get("root");
    const char* const runtime_directory = std::getenv("XDG_RUNTIME_DIR");
    // Also for root of a user namespace, as rootless podman makes one: /run is not his.
    if (runtime_directory != nullptr && runtime_directory[0] == '/' && !engine::runtime::is_host_root())
        return std::string(runtime_directory) + "/ocirun";
    return "/run/ocirun";
}

void set_log_level(const Arguments& global) {
    const std::string level = global.get("log-level");
    if (global.has("debug") || level == "debug" || level == "trace")
        base::log_init("ocirun", base::LogLevel::debug);
    else if (level == "info")
        base::log_init("ocirun", base::LogLevel::info);
    else if (level == "error" || level == "fatal" || level == "panic")
        base::log_init("ocirun", base::LogLevel::error);
    else if (!level.empty() && level != "warning" && level != "warn")
        throw base::UsageError("option --log-level: \"" + level + "\" is none of debug, info, warning and error");
}

int run(const Arguments& global, char** argv) {
    set_log_level(global);
    const std::string format = global.get("log-format");
    if (!format.empty() && format != "json" && format != "text")
        throw base::UsageError("option --log-format: text or json");
    if (global.rest().empty())
        throw base::UsageError("a command is missing");
    const Command* const command = find_command(global.rest().front());
    if (command == nullptr)
        throw base::UsageError("unknown command " + global.rest().front());
    const std::vector<std::string> own(global.rest().begin() + 1, global.rest().end());
    if (!own.empty() && (own.front() == "--help" || own.front() == "-h")) {
        print(help_of(*command));
        return 0;
    }
    const Arguments arguments(command->options, own, command->name);
    const CgroupManager manager = cgroup_manager(global);
    if (command->name == "features") {
        print(engine::runtime::features_document() + "\n");
        return 0;
    }
    if (command->name == "spec") {
        write_spec(arguments);
        return 0;
    }
    if (enters_container(command->name)) {
        engine::runtime::close_inherited_descriptors(arguments.number("preserve-fds"));
        engine::runtime::protect_own_binary(argv);
    }
    Runtime runtime(state_root(global), manager);
    return run_command(*command, arguments, runtime);
}

} // namespace

int run_program(int argc, char** argv) noexcept {
    base::log_init("ocirun", base::LogLevel::warning);
    return base::run_main("ocirun", [&] {
        const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
        const Arguments global(global_options(), words, "ocirun");
        if (global.has("help")) {
            print(help());
            return 0;
        }
        if (global.has("version")) {
            print(fmt::format("ocirun {}\nspec: {}\n", base::version(), engine::runtime::specification_version));
            return 0;
        }
        static ErrorLog log; // for the sink, which has nothing of its own
        log = {global.get("log"), global.get("log-format") == "json"};
        if (!log.path.empty())
            base::log_to([](base::LogLevel level, std::string_view message) noexcept {
                log.write(std::string(message), level == base::LogLevel::warning ? "warning" : "error");
            });
        try {
            return run(global, argv);
        } catch (const std::exception& error) {
            log.write(base::error_chain(error));
            throw;
        }
    });
}

} // namespace ocirun
