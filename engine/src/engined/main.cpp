// engined: starts everything of the host that is a container, and serves the Docker Engine API.
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include <CLI/CLI.hpp>

#include "base/cli.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/host_config.hpp"
#include "base/log.hpp"
#include "engine/api.hpp"
#include "engine/engine.hpp"
#include "engine/local_image_store.hpp"
#include "engine/network.hpp"
#include "engined/host_setup.hpp"
#include "init/client.hpp"

namespace {

/// In a directory of ours: a container gets the directory, not the socket, and so still reaches a restarted engined.
constexpr const char* default_docker_socket = "/run/atoll/docker.sock";
/// Where docker's clients look.
constexpr const char* docker_socket_link = "/run/docker.sock";

struct Options {
    engine::EngineOptions engine;
    std::string docker_socket = default_docker_socket;
    std::string engine_socket = "/run/atoll/engine.sock";
    std::string host_config = base::HostConfig::default_path;
    std::string config_drive = "/run/atoll/config";
    bool debug = false;
};

/// Returns the exit code when the program has nothing more to do.
std::optional<int> parse_arguments(int argc, char** argv, Options& options) {
    CLI::App app("engined: the host's container engine and services", "engined");
    engine::EngineOptions& engine = options.engine;
    app.add_option("--state-dir", engine.state_directory, "containers, images and volumes")->capture_default_str();
    app.add_option("--run-dir", engine.run_directory, "what a reboot ends")->capture_default_str();
    app.add_option("--docker-socket", options.docker_socket, "Docker Engine API; empty: none")->capture_default_str();
    app.add_option("--engine-socket", options.engine_socket, "the same for root, may change system containers")
        ->capture_default_str();
    app.add_option("--services-dir", engine.services_directory, "services of the host")->capture_default_str();
    app.add_option("--images-dir", engine.images_directory, "images carried in the OS image")->capture_default_str();
    app.add_option("--runtime", engine.runtime, "OCI runtime")->capture_default_str();
    app.add_option("--monitor", engine.monitor, "engine-monitor")->capture_default_str();
    app.add_option("--cgroup-parent", engine.cgroup_parent,
                   "cgroup below the cgroup2 mount for atoll.system and atoll.user; none: no cgroups");
    app.add_option("--host-config", options.host_config, "host configuration; empty: leave the host as it is")
        ->capture_default_str();
    app.add_option("--config-drive", options.config_drive,
                   "copied to the host configuration's folder on the first boot")
        ->capture_default_str();
    app.add_flag("--debug", options.debug, "log more");
    app.set_version_flag("--version", base::version());
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    return std::nullopt;
}

/// A wrong configuration must not keep the machine from its services, least of all from the one that could mend it: the
/// defaults are used, and the error stands in the log.
base::HostConfig load_host_config(const Options& options) {
    if (options.host_config.empty())
        return {};
    const std::string folder = options.host_config.substr(0, options.host_config.rfind('/'));
    try {
        if (engine::copy_config_drive(options.config_drive, folder))
            base::log_notice("first boot: configuration copied from {} to {}", options.config_drive, folder);
    } catch (const std::exception& error) {
        base::log_error("configuration drive: {}", base::error_chain(error));
    }
    base::HostConfig config;
    try {
        config = base::HostConfig::load(options.host_config);
    } catch (const std::exception& error) {
        base::log_error("{}; going on with defaults", base::error_chain(error));
    }
    engine::apply_host_config(config);
    return config;
}

void link_docker_socket() {
    const std::string temporary = std::string(docker_socket_link) + ".new";
    if (::unlink(temporary.c_str()) != 0 && errno != ENOENT)
        base::throw_errno("remove " + temporary);
    base::check(::symlink(default_docker_socket, temporary.c_str()), "link " + temporary);
    base::check(::rename(temporary.c_str(), docker_socket_link), std::string("rename to ") + docker_socket_link);
}

std::optional<init::Client> connect_init() {
    try {
        return init::Client::inherited();
    } catch (const base::Error&) {
        base::log_info("not started by init");
        return std::nullopt;
    }
}

/// Waits for SIGTERM, SIGINT or SIGUSR2 and returns it. Meanwhile init is told every 5 s that we are alive, provided
/// that the engine's loop turns and its registry answers: a deadlock shall be noticed.
int serve(int signals, engine::Engine& engine, std::optional<init::Client>& init) {
    std::uint64_t turns = 0;
    for (;;) {
        (void)engine.list();
        const std::uint64_t now = engine.loop_turns();
        if (init && std::exchange(turns, now) != now)
            (void)init->engine_alive();
        pollfd poller{signals, POLLIN, 0};
        signalfd_siginfo info{};
        if (::poll(&poller, 1, 5000) > 0 && ::read(signals, &info, sizeof info) == sizeof info)
            return static_cast<int>(info.ssi_signo);
    }
}

int run(const Options& options) {
    // Before the first thread: they all inherit the mask.
    sigset_t mask;
    ::sigemptyset(&mask);
    for (const int signal : {SIGTERM, SIGINT, SIGUSR2})
        ::sigaddset(&mask, signal);
    ::pthread_sigmask(SIG_BLOCK, &mask, nullptr);
    const base::UniqueFd signals(base::check(::signalfd(-1, &mask, SFD_CLOEXEC), "signalfd"));
    auto init = connect_init();
    if (init)
        (void)init->engine_alive();

    const base::HostConfig host = load_host_config(options);
    base::make_directories(options.engine.state_directory, 0710);
    base::make_directories(options.engine.run_directory, 0710);
    engine::LocalImageStore images(options.engine.state_directory);
    engine::NetworksConfig network_config;
    network_config.state_directory = options.engine.run_directory + "/network";
    network_config.definitions_file = options.engine.state_directory + "/networks.json";
    engine::Networks networks(network_config);
    engine::EngineOptions engine_options = options.engine;
    engine_options.service_environment = engine::service_environment(host);
    engine::Engine engine(engine_options, images, networks);
    engine::ApiOptions api_options;
    api_options.docker_socket = options.docker_socket;
    api_options.root_socket = options.engine_socket;
    api_options.tcp = host.engine;
    api_options.volumes_directory = options.engine.state_directory + "/volumes";
    engine::ApiServer api(api_options, engine, images, networks);
    engine.start();
    api.start();
    if (options.docker_socket == default_docker_socket)
        link_docker_socket();
    base::log_info("engined {} is up", base::version());

    const int signal = serve(signals.get(), engine, init);
    if (signal == SIGUSR2) {
        base::log_notice("leaving; the containers go on");
    } else {
        base::log_notice("stopping all containers");
        engine.stop_all();
    }
    api.stop();
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    Options options;
    if (const auto code = parse_arguments(argc, argv, options))
        return *code;
    base::log_init("engined", options.debug ? base::LogLevel::debug : base::LogLevel::info);
    return base::run_main("engined", [&] { return run(options); });
}
