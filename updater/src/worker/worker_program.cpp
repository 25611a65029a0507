// updater-worker: one job a process, told on the command line by updaterd, answered in JSON lines on standard output:
//   {"stage":"downloading","release":{...},"bytes":123,"objects":4}   a stage begins (sizes: expected)
//   {"progress":{"bytes":12,"objects":1,"total":4}}
//   {"health":{...}}                                                   watch-health: one report
//   {"result":{...}}  or  {"error":"..."}                              the last line
// It holds what is heavy or dangerous (libostree, curl, untrusted input), so that updaterd stays small and survives.
#include <fcntl.h>
#include <unistd.h>

#include <thread>

#include <CLI/CLI.hpp>

#include "base/command_line.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/host_config.hpp"
#include "base/log.hpp"
#include "base/scope_exit.hpp"
#include "jobs.hpp"
#include "record_json.hpp"
#include "updater/boot_repair.hpp"
#include "updater/boot_text.hpp"
#include "updater/health_watch.hpp"
#include "updater/paths.hpp"
#include "updater/sysroot.hpp"
#include "updater/update_pull.hpp"
#include "updater/workload_checks.hpp"
#include "worker_program.hpp"

namespace updater {

namespace {

namespace json = base::json;

/// Where answers go. libostree prints on standard output too ("Freed objects: ..."), which would not be JSON: once this
/// is called, standard output is standard error.
int answers() {
    static const int fd = [] {
        const int kept = base::check(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3), "duplicate standard output");
        base::check(::dup2(STDERR_FILENO, STDOUT_FILENO), "redirect standard output");
        return kept;
    }();
    return fd;
}

void say(const json::object& line) {
    base::write_all(answers(), json::serialize(line) + "\n", "standard output");
}

struct Arguments {
    WorkerCall call;
    PullRequest pull;
    std::string service;
    std::string container;
    unsigned lines = 20;
    unsigned stall = 60;
    unsigned interval_ms = 1000;
};

json::object to_json(const PullOutcome& outcome) {
    return {{"newer", outcome.newer},          {"release", release_to_json(outcome.release)},
            {"timestamp", outcome.timestamp},  {"waits", outcome.waits},
            {"bytes", outcome.download_bytes}, {"delta", outcome.by_delta},
            {"objects", outcome.objects}};
}

json::object inspect(const Arguments& arguments, const Paths& paths) {
    json::array deployments;
    for (const Deployment& deployment : open_sysroot(arguments.call, paths).deployments())
        deployments.push_back(json::object{{"release", release_to_json(deployment.release)},
                                           {"timestamp", deployment.timestamp},
                                           {"booted", deployment.booted},
                                           {"pinned", deployment.pinned},
                                           {"ref", deployment.ref}});
    return {{"deployments", std::move(deployments)}};
}

/// The most memory this program ever had, file mappings and all. (getrusage(2) counts what was there before exec.)
std::int64_t peak_memory_kib() {
    const std::string status = base::read_file("/proc/self/status", 64 * 1024);
    constexpr std::string_view word = "VmHWM:";
    const std::size_t line = status.find(word);
    return line == std::string::npos ? 0 : std::strtoll(status.c_str() + line + word.size(), nullptr, 10);
}

json::object repair(const Arguments& arguments, const Paths& paths) {
    (void)arguments;
    const std::string booted = kernel_argument(base::read_file(paths.command_line, 64 * 1024), "atoll.rev");
    const std::vector<std::string> done = repair_boot(paths, booted);
    return {{"done", json::array(done.begin(), done.end())}};
}

/// libcurl in libostree would take them; the proxy that counts is the configuration's.
void forget_proxies_of_the_environment() {
    for (const char* name :
         {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"})
        ::unsetenv(name);
}

json::object pull(const Arguments& arguments, const Paths& paths) {
    forget_proxies_of_the_environment();
    const base::HostConfig host = base::HostConfig::load(paths.host_yaml);
    const base::ScopeExit report([] { base::log_info("peak memory {} KiB", peak_memory_kib()); });
    PullRequest request = arguments.pull;
    request.remote.ca = host.update.ca;
    request.remote.proxy = host.update.proxy;
    request.remote.stall = std::chrono::seconds(arguments.stall);
    request.host_keys = host.update.keys;
    Sysroot sysroot = open_sysroot(arguments.call, paths);
    const PullObserver observer{
        [](const std::string& stage, const PullOutcome& outcome) {
            json::object line = to_json(outcome);
            line["stage"] = stage;
            say(line);
        },
        [](std::uint64_t bytes, std::uint64_t objects, std::uint64_t total) {
            say({{"progress", json::object{{"bytes", bytes}, {"objects", objects}, {"total", total}}}});
        }};
    return to_json(pull_update(sysroot, paths, request, observer));
}

[[noreturn]] void watch_health(const Arguments& arguments, const Paths& paths) {
    for (;;) {
        std::string raw;
        const HealthReport report = ask_health(paths.engine_socket, &raw);
        if (report.reachable)
            say({{"health", base::parse_json(raw, "engined's health")}});
        else
            say({{"unreachable", report.error}});
        std::this_thread::sleep_for(std::chrono::milliseconds(arguments.interval_ms));
    }
}

[[noreturn]] void watch_checks(const Arguments& arguments, const Paths& paths) {
    // Read once: a mistake that somebody makes in the file later is no failure of a check.
    const std::vector<base::HealthCheck> checks = base::HostConfig::load(paths.host_yaml).health;
    for (;;) {
        json::array results;
        for (const CheckResult& result : run_checks(checks, paths.engine_socket))
            results.push_back(check_to_json(result));
        say({{"checks", std::move(results)}});
        std::this_thread::sleep_for(std::chrono::milliseconds(arguments.interval_ms));
    }
}

json::object logs(const Arguments& arguments, const Paths& paths) {
    const std::vector<std::string> lines =
        arguments.container.empty() ? service_log(paths.engine_socket, arguments.service, arguments.lines)
                                    : container_log(paths.engine_socket, arguments.container, arguments.lines);
    return {{"lines", json::array(lines.begin(), lines.end())}};
}

using Job = json::object (*)(const Arguments&, const Paths&);

int run(int argc, char** argv) {
    CLI::App app{"The jobs of updaterd, one a process; updaterd starts it, people use updatectl"};
    Arguments arguments;
    Job job = nullptr;
    app.set_version_flag("--version", base::version());
    app.add_option("--root", arguments.call.root, "directory that stands for /")->capture_default_str();
    app.add_flag("--own-namespace", arguments.call.own_namespace, "make the sysroot writable in a mount namespace");
    app.add_option("--lock-wait", arguments.call.lock_wait,
                   "seconds to wait while another process is changing deployments")
        ->capture_default_str();
    app.require_subcommand(1);

    auto add = [&](const char* name, const char* text, Job function) {
        return app.add_subcommand(name, text)->callback([&job, function] { job = function; });
    };
    add("inspect", "list the deployments", inspect);
    add("repair", "mend boot entries and links that a damaged disk lost", repair);
    CLI::App* pulling = add("pull", "fetch and check an update", pull);
    pulling->add_option("--url", arguments.pull.remote.url, "repository")->required();
    pulling->add_option("--ref", arguments.pull.ref, "stream")->required();
    CLI::Option* commit =
        pulling->add_option("--commit", arguments.pull.commit, "this commit, not what the stream names");
    pulling->add_option("--release", arguments.pull.release, "this version that the stream names")->excludes(commit);
    pulling->add_option("--refuse", arguments.pull.refused, "a commit that failed before")->allow_extra_args(false);
    pulling->add_option("--stall", arguments.stall, "give up after so many seconds in which almost nothing came")
        ->check(CLI::Range(1, 3600));
    pulling->add_flag("--metadata-only", arguments.pull.metadata_only, "only look whether there is one");
    pulling->add_flag("--allow-downgrade", arguments.pull.allow_downgrade, "also an older one");
    pulling->add_flag("--ignore-rollout", arguments.pull.ignore_rollout, "also when this host's turn has not come");
    add_deployment_jobs(app, arguments.call);
    add_reading_jobs(app, arguments.call);
    add_loader_job(app, arguments.call);
    add_lock_job(app, arguments.call);
    using Watch = void (*)(const Arguments&, const Paths&);
    Watch watch = nullptr;
    auto add_watch = [&](const char* name, const char* text, Watch function) {
        CLI::App* watching = app.add_subcommand(name, text);
        watching->callback([&watch, function] { watch = function; });
        watching->add_option("--interval-ms", arguments.interval_ms, "pause between two rounds");
    };
    add_watch("watch-health", "print engined's health again and again", watch_health);
    add_watch("watch-checks", "run host.yaml's health checks again and again", watch_checks);
    CLI::App* logging = add("logs", "last log lines of a system service or a container", logs);
    CLI::Option* of_service = logging->add_option("--service", arguments.service, "name");
    logging->add_option("--container", arguments.container, "name or id")->excludes(of_service);
    logging->add_option("--lines", arguments.lines, "how many");

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return base::end_of_parse(app, error);
    }
    answers();
    const Paths paths = Paths::below(arguments.call.root);
    try {
        if (watch != nullptr)
            watch(arguments, paths);
        say({{"result", job != nullptr ? job(arguments, paths) : arguments.call.job(paths)}});
        return 0;
    } catch (const std::exception& error) {
        say({{"error", plain_text(base::error_chain(error), 2000)}});
        return 1;
    }
}

} // namespace

int run_worker_program(int argc, char** argv) {
    base::log_init("updater-worker");
    return base::run_main("updater-worker", [&] { return run(argc, argv); });
}

} // namespace updater
