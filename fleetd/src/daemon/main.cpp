// fleetd: the daemon of every host of a fleet.
#include <signal.h>
#include <sys/signalfd.h>

#include <CLI/CLI.hpp>

#include "base/cli.hpp"
#include "base/files.hpp"
#include "base/host_config.hpp"
#include "base/log.hpp"
#include "daemon/agent.hpp"
#include "daemon/api.hpp"
#include "daemon/host_identity.hpp"
#include "daemon/leader.hpp"

namespace {

struct Options {
    std::string state = "/var/lib/atoll/fleet";
    std::string socket = "/run/atoll/fleet.sock";
    std::string engine = "unix:/run/atoll/docker.sock";
    std::string config = base::HostConfig::default_path;
};

/// Blocks SIGTERM and SIGINT in this thread and those it starts; they are read from the descriptor.
base::UniqueFd block_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    return base::UniqueFd(base::check(signalfd(-1, &signals, SFD_CLOEXEC), "signalfd"));
}

int serve(const Options& options) {
    const base::UniqueFd signals = block_signals();
    const auto config = base::HostConfig::load(options.config);
    base::make_directories(options.state, 0700);
    const auto store = fleet::open_sqlite_store(options.state + "/fleet.db");
    const fleet::Host host = fleet::load_host_identity(options.state);
    const fleet::EngineFactory connect = [&] {
        return fleet::connect_docker_engine(options.engine);
    };

    fleet::UnitRegistry registry(*store);
    fleet::Leader leader(*store);
    fleet::Agent agent(*store, host, connect);
    fleet::Api api(*store, registry, host.id, connect);
    base::http::Server server;
    const auto handler = [&](base::http::Request& request, base::http::Response& response) {
        api.handle(request, response);
    };
    server.listen_unix(options.socket, 0600, handler);
    if (config.fleet)
        server.listen_tls(*config.fleet, handler);
    leader.start();
    agent.start();
    server.start();
    base::log_notice("ready host={} id={} store={} tcp={}", host.name, host.id, store->id(),
                     config.fleet ? config.fleet->address : "none");

    signalfd_siginfo info{};
    while (read(signals.get(), &info, sizeof info) < 0 && errno == EINTR) {
    }
    base::log_info("stopping on signal {}", info.ssi_signo);
    server.stop();
    leader.stop();
    agent.stop();
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    return base::run_main("fleetd", [&] {
        base::log_init("fleetd");
        Options options;
        CLI::App app("The daemon of every host of a fleet: keeps units running as containers");
        app.set_version_flag("--version", base::version());
        app.add_option("--state", options.state, "Directory of the store")->capture_default_str();
        app.add_option("--socket", options.socket, "Unix socket of the API")->capture_default_str();
        app.add_option("--engine", options.engine, "Docker API of the container engine")->capture_default_str();
        app.add_option("--config", options.config, "Host configuration (section fleet: TCP with mutual TLS)")
            ->capture_default_str();
        try {
            app.parse(argc, argv);
        } catch (const CLI::ParseError& error) {
            return app.exit(error) == 0 ? 0 : 2;
        }
        return serve(options);
    });
}
