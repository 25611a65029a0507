// ocirun: the OCI container runtime.
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>

#include "base/cli.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "ocirun/command_line.hpp"
#include "runtime/names.hpp"
#include "runtime/own_binary.hpp"
#include "runtime/runtime.hpp"

namespace {

using engine::runtime::ContainerState;
using engine::runtime::ExecRequest;
using engine::runtime::LaunchOptions;
using engine::runtime::RunOptions;
using engine::runtime::Runtime;
using engine::runtime::Status;
using ocirun::Arguments;
using ocirun::Command;
using ocirun::Option;

const std::vector<Option>& global_options() {
    static const std::vector<Option> options{
        {"root", 0, "DIR", "state of the containers (default /run/ocirun)"},
        {"log", 0, "FILE", "errors are written there, too"},
        {"log-format", 0, "FORMAT", "text (default) or json"},
        {"log-level", 0, "LEVEL", "accepted for compatibility; only warnings and errors are written"},
        {"debug", 0, "", "accepted for compatibility"},
        {"cgroup-manager", 0, "NAME", "cgroupfs; others are refused"},
        {"systemd-cgroup", 0, "", "refused: cgroups are made by the runtime itself"},
        {"help", 'h', "", "this text"},
        {"version", 'v', "", "the version"},
    };
    return options;
}

const std::vector<Option> create_options{
    {"bundle", 'b', "DIR", "the bundle (default: the working directory)"},
    {"config", 'f', "FILE", "the configuration (default: config.json in the bundle)"},
    {"console-socket", 0, "PATH", "unix socket that takes the terminal's master"},
    {"pid-file", 0, "FILE", "the pid of the container's first process is written there"},
    {"preserve-fds", 0, "N", "pass N descriptors from 3 on"},
    {"no-pivot", 0, "", "do not use pivot_root: for a host on an initramfs"},
    {"no-new-keyring", 0, "", "keep the caller's session keyring"},
};

std::vector<Option> run_options() {
    std::vector<Option> options = create_options;
    options.push_back({"detach", 'd', "", "do not wait for the container's end"});
    options.push_back({"keep", 0, "", "keep the state after the container's end"});
    return options;
}

const std::vector<Command>& commands() {
    static const std::vector<Command> table{
        {"create", "ID", "make a container; its program does not run yet", create_options},
        {"start", "ID", "run the program of a created container", {}},
        {"run", "ID", "create, start, wait and delete", run_options()},
        {"exec",
         "ID [PROGRAM ARGUMENT...]",
         "run a program in a running container",
         {{"process", 'p', "FILE", "a process document instead of PROGRAM"},
          {"tty", 't', "", "with a terminal"},
          {"console-socket", 0, "PATH", "unix socket that takes the terminal's master"},
          {"pid-file", 0, "FILE", "the program's pid is written there"},
          {"user", 'u', "UID[:GID]", "numbers; default: as the container's process"},
          {"additional-gids", 'g', "GID", "may be repeated"},
          {"cwd", 0, "DIR", "working directory"},
          {"env", 'e', "NAME=VALUE", "added to the environment; may be repeated"},
          {"cap", 'c', "NAME", "a capability more; may be repeated"},
          {"no-new-privs", 0, "", "set no_new_privileges"},
          {"preserve-fds", 0, "N", "pass N descriptors from 3 on"},
          {"detach", 'd', "", "do not wait for the program's end"}}},
        {"state", "ID", "the container's state as JSON", {}},
        {"kill",
         "ID [SIGNAL]",
         "send a signal (default TERM)",
         {{"all", 'a', "", "to every process of the container"}}},
        {"delete", "ID", "remove a stopped container", {{"force", 'f', "", "kill it first"}}},
        {"list",
         "",
         "all containers",
         {{"format", 'f', "FORMAT", "table (default) or json"}, {"quiet", 'q', "", "ids only"}}},
        {"ps", "ID", "pids of the container's processes", {{"format", 'f', "FORMAT", "table (default) or json"}}},
        {"pause", "ID", "freeze the container", {}},
        {"resume", "ID", "thaw the container", {}},
        {"update",
         "ID",
         "change resource limits",
         {{"resources", 'r', "FILE", "linux.resources as JSON, \"-\": standard input"}}},
        {"spec",
         "",
         "write a config.json",
         {{"bundle", 'b', "DIR", "where (default: the working directory)"},
          {"rootless", 0, "", "with a user namespace"}}},
        {"features", "", "what this runtime can do, as JSON", {}},
    };
    return table;
}

std::string help() {
    std::string text = "Usage: ocirun [OPTION...] COMMAND [OPTION...] [ARGUMENT...]\n\nOptions:\n" +
                       ocirun::help_of(global_options()) + "\nCommands:\n";
    for (const Command& command : commands()) {
        std::string left = "  " + std::string(command.name) + " " + std::string(command.arguments);
        left.resize(std::max<std::size_t>(left.size() + 1, 34), ' ');
        text.append(left).append(command.help).append("\n");
    }
    return text + "\n\"ocirun COMMAND --help\" shows a command's options.\n";
}

std::string absolute(const std::string& path) {
    char* const resolved = realpath(path.c_str(), nullptr);
    if (resolved == nullptr)
        base::throw_errno("resolve " + path);
    std::string result(resolved);
    std::free(resolved);
    return result;
}

std::string container_id(const Arguments& arguments, std::size_t most = 1) {
    if (arguments.rest().empty())
        throw base::UsageError("a container's id is missing");
    if (arguments.rest().size() > most)
        throw base::UsageError("unexpected argument " + arguments.rest()[most]);
    return arguments.rest().front();
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

void print(const std::string& text) {
    base::write_all(STDOUT_FILENO, text, "standard output");
}

int run_exec(Runtime& runtime, const Arguments& arguments) {
    ExecRequest request;
    request.id = container_id(arguments, std::numeric_limits<std::size_t>::max());
    request.process_file = arguments.get("process");
    request.args.assign(arguments.rest().begin() + 1, arguments.rest().end());
    if (request.process_file.empty() == request.args.empty())
        throw base::UsageError("give either a program or --process");
    request.env = arguments.all("env");
    request.user = arguments.get("user");
    request.cwd = arguments.get("cwd");
    request.capabilities = arguments.all("cap");
    for (const std::string& gid : arguments.all("additional-gids")) {
        if (gid.empty() || gid.size() > 9 || gid.find_first_not_of("0123456789") != std::string::npos)
            throw base::UsageError("group \"" + gid + "\" is not a number");
        request.additional_gids.push_back(static_cast<unsigned>(std::stoul(gid)));
    }
    request.terminal = arguments.has("tty");
    request.detach = arguments.has("detach");
    request.no_new_privileges = arguments.has("no-new-privs");
    request.pid_file = arguments.get("pid-file");
    request.console_socket = arguments.get("console-socket");
    request.preserve_fds = arguments.number("preserve-fds");
    return runtime.exec(request);
}

bool wants_json(const Arguments& arguments) {
    const std::string format = arguments.get("format");
    if (!format.empty() && format != "json" && format != "table")
        throw base::UsageError("option --format: table or json");
    return format == "json";
}

void print_list(Runtime& runtime, const Arguments& arguments) {
    const bool json = wants_json(arguments);
    std::string text;
    if (!json && !arguments.has("quiet"))
        text = fmt::format("{:<24} {:<8} {:<9} {:<40} {}\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED");
    for (const auto& [state, status] : runtime.list()) {
        if (json)
            text += (text.empty() ? "[" : ",") + engine::runtime::state_document(state, status, false);
        else if (arguments.has("quiet"))
            text += state.id + "\n";
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
    std::string text = json ? "[" : "PID\n";
    const char* separator = "";
    for (const pid_t pid : runtime.processes(container_id(arguments))) {
        text += json ? separator + std::to_string(pid) : std::to_string(pid) + "\n";
        separator = ",";
    }
    print(json ? text + "]\n" : text);
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

int run_command(const Command& command, const Arguments& arguments, const std::string& root, char** argv) {
    const std::string_view name = command.name;
    if (name == "features") {
        print(engine::runtime::features_document() + "\n");
        return 0;
    }
    if (name == "spec") {
        write_spec(arguments);
        return 0;
    }
    if (enters_container(name)) {
        engine::runtime::close_inherited_descriptors(arguments.number("preserve-fds"));
        engine::runtime::protect_own_binary(argv);
    }
    Runtime runtime(root);
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
    else if (name == "pause" || name == "resume")
        runtime.pause(container_id(arguments), name == "pause");
    else if (name == "update") {
        if (!arguments.has("resources"))
            throw base::UsageError("update: --resources is missing");
        runtime.update(container_id(arguments), arguments.get("resources"));
    }
    return 0;
}

void check_cgroup_manager(const Arguments& global) {
    if (global.has("systemd-cgroup"))
        throw base::UsageError("--systemd-cgroup is not supported: cgroups are made by the runtime itself");
    const std::string manager = global.get("cgroup-manager");
    if (!manager.empty() && manager != "cgroupfs")
        throw base::UsageError("--cgroup-manager " + manager + " is not supported; cgroupfs is");
}

/// Callers such as podman and containerd read their error message from the log.
void write_log(const Arguments& global, const std::string& message) noexcept {
    try {
        const std::string path = global.get("log");
        if (path.empty())
            return;
        const base::UniqueFd file = base::open_file(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
        const std::string time = engine::runtime::timestamp();
        if (global.get("log-format") != "json") {
            base::write_all(file.get(), "time=\"" + time + "\" level=error msg=\"" + message + "\"\n", path);
            return;
        }
        std::string quoted;
        for (const char c : message) {
            if (c == '"' || c == '\\')
                quoted += '\\';
            if (static_cast<unsigned char>(c) >= 0x20)
                quoted += c;
            else
                quoted += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        }
        base::write_all(file.get(), R"({"level":"error","msg":")" + quoted + R"(","time":")" + time + "\"}\n", path);
    } catch (const std::exception&) {
        return; // the message goes to standard error as well
    }
}

int run(int argc, char** argv) {
    const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
    const Arguments global(global_options(), words, "ocirun");
    if (global.has("help")) {
        print(help());
        return 0;
    }
    if (global.has("version")) {
        print(fmt::format("ocirun {}\nspec: 1.1.0\n", base::version()));
        return 0;
    }
    if (global.rest().empty())
        throw base::UsageError("a command is missing");
    for (const Command& command : commands()) {
        if (command.name != global.rest().front())
            continue;
        const std::vector<std::string> own(global.rest().begin() + 1, global.rest().end());
        if (!own.empty() && (own.front() == "--help" || own.front() == "-h")) {
            print(fmt::format("Usage: ocirun {} [OPTION...] {}\n{}\n{}", command.name, command.arguments, command.help,
                              ocirun::help_of(command.options)));
            return 0;
        }
        const Arguments arguments(command.options, own, command.name);
        check_cgroup_manager(global);
        try {
            return run_command(command, arguments, global.has("root") ? global.get("root") : "/run/ocirun", argv);
        } catch (const base::UsageError&) {
            throw;
        } catch (const std::exception& error) {
            write_log(global, base::error_chain(error));
            throw;
        }
    }
    throw base::UsageError("unknown command " + global.rest().front());
}

} // namespace

int main(int argc, char** argv) {
    base::log_init("ocirun", base::LogLevel::warning);
    return base::run_main("ocirun", [&] { return run(argc, argv); });
}
