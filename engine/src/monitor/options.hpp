// The monitor's command line. Written by engined, so there is little to be polite about.
#pragma once
#include <cstdint>
#include <string>

namespace engine::monitor {

struct Options {
    std::string id;            ///< of the container, for the runtime
    std::string runtime;       ///< the OCI runtime's path
    std::string runtime_root;  ///< its --root
    std::string run_directory; ///< monitor.sock, pid, exit, console.sock
    std::string bundle;        ///< of a container
    std::string process;       ///< the process's JSON file: run it by `exec` instead of creating a container
    std::string log;           ///< empty: none
    std::uint64_t log_maximum_size = 0;
    unsigned log_maximum_files = 1;
    bool tty = false;
    bool open_stdin = false;
    bool stdin_once = false;
    bool is_exec() const noexcept { return !process.empty(); }
};

/// Returns 0 when the program shall go on, otherwise its exit code plus one (1: after --help or --version; 3: usage).
int parse_options(int argc, char** argv, Options& options);

} // namespace engine::monitor
