#include "monitor/options.hpp"

#include <getopt.h>

#include <cstdio>
#include <cstdlib>

#include "engine/monitor_protocol.hpp"

namespace engine::monitor {
namespace {

constexpr char help_text[] =
    "engine-monitor: keeps one container's standard streams, log and exit status. Started by engined.\n"
    "usage: engine-monitor --id ID --runtime PROGRAM --runtime-root DIR --run-dir DIR (--bundle DIR | --process FILE)\n"
    "  --id ID                of the container\n"
    "  --runtime PROGRAM      the OCI runtime\n"
    "  --runtime-root DIR     where the runtime keeps its state\n"
    "  --run-dir DIR          for the pid file and the exit record\n"
    "  --bundle DIR           create this container\n"
    "  --process FILE         run this process in the existing container instead\n"
    "  --log FILE             write the output there, in Docker's json-file format\n"
    "  --log-max-size BYTES   rotate it at this size\n"
    "  --log-max-files N      with the current one\n"
    "  --tty                  give the process a terminal\n"
    "  --stdin                give it a standard input\n"
    "  --stdin-once           close its input when the first client that had it goes\n"
    "  --help, --version\n"
    "File descriptor 3 is the listening socket (engine/monitor_protocol.hpp).\n";

enum Option {
    id = 256,
    runtime,
    runtime_root,
    run_dir,
    bundle,
    process,
    log,
    log_size,
    log_files,
    tty,
    in,
    in_once,
    help,
    version
};

constexpr option long_options[] = {{"id", required_argument, nullptr, id},
                                   {"runtime", required_argument, nullptr, runtime},
                                   {"runtime-root", required_argument, nullptr, runtime_root},
                                   {"run-dir", required_argument, nullptr, run_dir},
                                   {"bundle", required_argument, nullptr, bundle},
                                   {"process", required_argument, nullptr, process},
                                   {"log", required_argument, nullptr, log},
                                   {"log-max-size", required_argument, nullptr, log_size},
                                   {"log-max-files", required_argument, nullptr, log_files},
                                   {"tty", no_argument, nullptr, tty},
                                   {"stdin", no_argument, nullptr, in},
                                   {"stdin-once", no_argument, nullptr, in_once},
                                   {"help", no_argument, nullptr, help},
                                   {"version", no_argument, nullptr, version},
                                   {nullptr, 0, nullptr, 0}};

} // namespace

int parse_options(int argc, char** argv, Options& options) {
    int option_code;
    while ((option_code = ::getopt_long(argc, argv, "", long_options, nullptr)) != -1) {
        switch (option_code) {
        case id:
            options.id = optarg;
            break;
        case runtime:
            options.runtime = optarg;
            break;
        case runtime_root:
            options.runtime_root = optarg;
            break;
        case run_dir:
            options.run_directory = optarg;
            break;
        case bundle:
            options.bundle = optarg;
            break;
        case process:
            options.process = optarg;
            break;
        case log:
            options.log = optarg;
            break;
        case log_size:
            options.log_maximum_size = std::strtoull(optarg, nullptr, 10);
            break;
        case log_files:
            options.log_maximum_files = static_cast<unsigned>(std::strtoul(optarg, nullptr, 10));
            break;
        case tty:
            options.tty = true;
            break;
        case in:
            options.open_stdin = true;
            break;
        case in_once:
            options.stdin_once = true;
            break;
        case help:
            std::fputs(help_text, stdout);
            return 1;
        case version:
            std::printf("engine-monitor %s, protocol %u\n", ATOLL_VERSION, protocol_version);
            return 1;
        default:
            return 3;
        }
    }
    const bool complete = !options.id.empty() && !options.runtime.empty() && !options.runtime_root.empty() &&
                          !options.run_directory.empty() && options.bundle.empty() != options.process.empty();
    if (!complete || optind != argc) {
        std::fputs(help_text, stderr);
        return 3;
    }
    return 0;
}

} // namespace engine::monitor
