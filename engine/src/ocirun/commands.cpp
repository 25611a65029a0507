#include "ocirun/commands.hpp"

#include <fmt/format.h>

namespace ocirun {

namespace {

std::vector<Option> create_options(std::initializer_list<Option> more = {}) {
    std::vector<Option> options{
        {"bundle", 'b', "DIR", "the bundle (default: the working directory)"},
        {"config", 'f', "FILE", "the configuration (default: config.json in the bundle)"},
        {"console-socket", 0, "PATH", "unix socket that takes the terminal's master"},
        {"pid-file", 0, "FILE", "the pid of the container's first process is written there"},
        {"preserve-fds", 0, "N", "pass N descriptors from 3 on"},
        {"no-pivot", 0, "", "do not use pivot_root: for a host on an initramfs"},
        {"no-new-keyring", 0, "", "keep the caller's session keyring"},
        {"no-subreaper", 0, "", "accepted for compatibility: this runtime is none"},
    };
    options.insert(options.end(), more);
    return options;
}

const std::vector<Option> exec_options{
    {"process", 'p', "FILE", "a process document instead of PROGRAM"},
    {"tty", 't', "", "with a terminal"},
    {"console-socket", 0, "PATH", "unix socket that takes the terminal's master"},
    {"pid-file", 0, "FILE", "the program's pid is written there"},
    {"user", 'u', "UID[:GID]", "numbers; default: as the container's process"},
    {"additional-gids", 'g', "GID", "may be repeated"},
    {"cwd", 0, "DIR", "working directory"},
    {"env", 'e', "NAME=VALUE", "added to the environment; may be repeated"},
    {"cap", 'c', "NAME", "a capability more; may be repeated"},
    {"apparmor", 0, "PROFILE", "the AppArmor profile"},
    {"process-label", 0, "LABEL", "refused: this runtime has no SELinux support"},
    {"no-new-privs", 0, "", "set no_new_privileges"},
    {"preserve-fds", 0, "N", "pass N descriptors from 3 on"},
    {"ignore-paused", 0, "", "also in a paused container: the program waits until it is resumed"},
    {"detach", 'd', "", "do not wait for the program's end"},
};

const std::vector<Option> update_options{
    {"resources", 'r', "FILE", "linux.resources as JSON, \"-\": standard input; alone"},
    {"memory", 'm', "BYTES", "memory limit, -1: none"},
    {"memory-reservation", 0, "BYTES", "memory that is protected"},
    {"memory-swap", 0, "BYTES", "memory and swap together, -1: no limit of swap"},
    {"cpu-share", 0, "N", "weight, 2 to 262144"},
    {"cpu-quota", 0, "MICROSECONDS", "CPU time in each period, -1: no limit"},
    {"cpu-period", 0, "MICROSECONDS", "the period of the quota"},
    {"cpu-burst", 0, "MICROSECONDS", "CPU time that may be saved up"},
    {"cpu-idle", 0, "0|1", "1: only when nobody else wants the CPU"},
    {"cpu-rt-period", 0, "MICROSECONDS", "refused unless 0: cgroup v2 has none"},
    {"cpu-rt-runtime", 0, "MICROSECONDS", "refused unless 0: cgroup v2 has none"},
    {"cpuset-cpus", 0, "LIST", "CPUs, as \"0-3,7\""},
    {"cpuset-mems", 0, "LIST", "memory nodes"},
    {"pids-limit", 0, "N", "processes and threads, -1: no limit"},
    {"blkio-weight", 0, "N", "weight of block I/O, 10 to 1000"},
    {"kernel-memory", 0, "BYTES", "refused unless 0: cgroup v2 has none"},
    {"kernel-memory-tcp", 0, "BYTES", "refused unless 0: cgroup v2 has none"},
    {"l3-cache-schema", 0, "TEXT", "refused: no Intel RDT"},
    {"mem-bw-schema", 0, "TEXT", "refused: no Intel RDT"},
};

} // namespace

const std::vector<Option>& global_options() {
    static const std::vector<Option> options{
        {"root", 0, "DIR", "state of the containers (default /run/ocirun; $XDG_RUNTIME_DIR/ocirun for a user)"},
        {"log", 0, "FILE", "errors are written there, too"},
        {"log-format", 0, "FORMAT", "text (default) or json"},
        {"log-level", 0, "LEVEL", "what standard error gets: debug, info, warning (default) or error"},
        {"debug", 0, "", "the same as --log-level debug"},
        {"cgroup-manager", 0, "NAME", "cgroupfs (default), systemd or disabled"},
        {"systemd-cgroup", 's', "", "the same as --cgroup-manager systemd"},
        {"rootless", 0, "BOOL", "accepted for compatibility: it is found out"},
        {"help", 'h', "", "this text"},
        {"version", 'v', "", "the version"},
    };
    return options;
}

const std::vector<Command>& commands() {
    static const std::vector<Command> table{
        {"create", "ID", "make a container; its program does not run yet", create_options()},
        {"start", "ID", "run the program of a created container", {}},
        {"run", "ID", "create, start, wait and delete",
         create_options({{"detach", 'd', "", "do not wait for the container's end"},
                         {"keep", 0, "", "keep the state after the container's end"}})},
        {"exec", "ID [PROGRAM ARGUMENT...]", "run a program in a running container", exec_options},
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
        {"ps",
         "ID [PS-OPTION...]",
         "the container's processes; with options the lines of ps(1)",
         {{"format", 'f', "FORMAT", "table (default) or json"}}},
        {"pause", "ID", "freeze the container", {}},
        {"resume", "ID", "thaw the container", {}},
        {"update", "ID", "change resource limits", update_options},
        {"events",
         "ID",
         "resource use, and when memory ran out, as JSON lines",
         {{"stats", 0, "", "resource use once"},
          {"interval", 0, "TIME", "between two reports, as 500ms, 5s, 1m (default 5s)"}}},
        {"spec",
         "",
         "write a config.json",
         {{"bundle", 'b', "DIR", "where (default: the working directory)"},
          {"rootless", 0, "", "with a user namespace"}}},
        {"features", "", "what this runtime can do, as JSON", {}},
    };
    return table;
}

const Command* find_command(std::string_view name) {
    for (const Command& command : commands())
        if (command.name == name)
            return &command;
    return nullptr;
}

std::string help() {
    std::string text = "Usage: ocirun [OPTION...] COMMAND [OPTION...] [ARGUMENT...]\n\nOptions:\n" +
                       help_of(global_options()) + "\nCommands:\n";
    for (const Command& command : commands()) {
        std::string left = "  " + std::string(command.name) + " " + std::string(command.arguments);
        left.resize(std::max<std::size_t>(left.size() + 1, 34), ' ');
        text.append(left).append(command.help).append("\n");
    }
    return text + "\n\"ocirun COMMAND --help\" shows a command's options.\n"
                  "Exit codes: 0, 1 for a failure, 2 for a wrong command line; run and exec pass on the program's.\n";
}

std::string help_of(const Command& command) {
    return fmt::format("Usage: ocirun {} [OPTION...] {}\n{}\n{}", command.name, command.arguments, command.help,
                       help_of(command.options));
}

} // namespace ocirun
