// What a start sets up: files, root file system, monitor, network. Everything is undone when a step fails.
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "base/process.hpp"
#include "base/scope_exit.hpp"
#include "core/container_files.hpp"
#include "core/engine_impl.hpp"
#include "core/identity.hpp"
#include "core/oci_config.hpp"

namespace engine {

namespace {
/// Time for the runtime to create or start a container: a storage that hangs must not hang us for ever.
constexpr int phase_timeout_ms = 120'000;

/// "container:<id>" -> id
std::string joined_container(const std::string& mode) {
    constexpr std::string_view prefix = "container:";
    return mode.starts_with(prefix) ? mode.substr(prefix.size()) : std::string();
}
} // namespace

std::vector<std::string> Engine::Impl::runtime_command(std::initializer_list<std::string> arguments) const {
    std::vector<std::string> command = {options.runtime, "--root", options.run_directory + "/runtime"};
    command.insert(command.end(), arguments);
    return command;
}

std::string Engine::Impl::hostname_of(const ContainerEntry& container) const {
    if (!container.config->hostname.empty())
        return container.config->hostname;
    if (container.config->network_mode != "host")
        return container.id.substr(0, 12);
    char name[256] = {};
    base::check(::gethostname(name, sizeof name - 1), "gethostname");
    return name;
}

void Engine::Impl::prepare_bundle(ContainerEntry& container) {
    const auto shared_config = container.config.get();
    const ContainerConfig& config = *shared_config;
    const std::string run = run_directory_of(container.id), rootfs = run + "/rootfs";
    const std::string directory = directory_of(container.id);
    base::make_directories(rootfs, 0755);
    if (config.host_rootfs)
        mount_host_root(rootfs);
    else
        mount_overlay(container.lower_directories, directory, rootfs);

    OciInput input;
    input.id = container.id;
    input.config = &config;
    input.rootfs = rootfs;
    input.hostname = hostname_of(container);
    input.cgroups_path = cgroups.container_path(config.system_service, container.id);
    input.user = look_up_user(rootfs, config.user, config.additional_groups);
    if (!config.host_rootfs) {
        write_etc_files(directory, config, input.hostname, "");
        input.directory = directory;
    }
    const auto namespace_of = [&](const std::string& mode, const char* file) -> std::string {
        const std::string other = joined_container(mode);
        if (other.empty())
            return {};
        const ContainerPointer entry = require(other);
        std::lock_guard lock(entry->mutex);
        if (!entry->state.running())
            throw EngineError(ErrorKind::conflict,
                              "cannot join the namespace of container " + other + ": it does not run");
        return fmt::format("/proc/{}/ns/{}", entry->state.pid, file);
    };
    input.network_namespace = namespace_of(config.network_mode, "net");
    input.pid_namespace = namespace_of(config.pid_mode, "pid");
    // Not durable on purpose: it is made anew at each start, in a tmpfs.
    base::UniqueFd fd = base::open_file(run + "/config.json", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    base::write_all(fd.get(), make_oci_config(input), run + "/config.json");
}

std::shared_ptr<MonitorConnection> Engine::Impl::start_monitor(const std::string& run_directory,
                                                               std::vector<std::string> arguments) {
    const base::UniqueFd listener = listen_for_monitor(run_directory);
    const base::UniqueFd cgroup = cgroups.monitors();
    std::vector<std::string> command = {
        options.monitor, "--runtime",  options.runtime, "--runtime-root", options.run_directory + "/runtime",
        "--run-dir",     run_directory};
    command.insert(command.end(), std::make_move_iterator(arguments.begin()), std::make_move_iterator(arguments.end()));
    const base::UniqueFd null = base::open_file("/dev/null", O_RDWR);
    base::SpawnOptions spawn;
    spawn.directory = "/";
    spawn.stdout_fd = null.get();
    spawn.extra_fds = {{listener.get(), monitor::socket_fd}};
    spawn.new_session = true;
    spawn.cgroup_fd = cgroup.get();
    base::Child child = base::Child::spawn(command, spawn);
    // It is on its own from here: it lives as long as its container. As long as we live we are its parent and reap it.
    const pid_t pid = child.detach();
    const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (pidfd >= 0) {
        auto owner = std::make_shared<base::UniqueFd>(pidfd);
        loop.watch(pidfd, [this, owner, pid] {
            (void)::waitpid(pid, nullptr, WNOHANG);
            loop.unwatch(owner->get());
        });
    }
    auto connection = MonitorConnection::connect(run_directory, monitor::Role::control);
    if (!connection)
        throw base::Error("the monitor of " + run_directory + " ended at once");
    return connection;
}

ParsedState Engine::Impl::await_phase(MonitorConnection& connection, monitor::Phase wanted) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(phase_timeout_ms);
    MonitorConnection::Message message;
    while (connection.state().phase() != wanted && connection.state().phase() != monitor::Phase::exited) {
        if (connection.state().phase() == monitor::Phase::failed)
            throw base::Error(connection.state().error);
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
        if (left <= 0)
            throw base::Error(ETIMEDOUT, "wait for the runtime");
        if (connection.receive(message, static_cast<int>(left)) == MonitorConnection::Received::closed)
            throw base::Error("its monitor ended");
    }
    return connection.state();
}

void Engine::Impl::attach_network(ContainerEntry& container, pid_t pid) {
    const auto shared_config = container.config.get();
    const ContainerConfig& config = *shared_config;
    if (config.network_mode == "host" || !joined_container(config.network_mode).empty())
        return;
    const auto where = NetworkNamespace::of_process(pid);
    if (config.network_mode == "none") {
        Networks::set_up_loopback(where);
        return;
    }
    AttachOptions attach;
    attach.ports = config.ports;
    attach.address = config.address;
    attach.mac = config.mac;
    const std::string network = config.network_mode == "default" ? "bridge" : config.network_mode;
    NetworkEndpoint endpoint = networks.attach(network, container.id, where, attach);
    write_etc_files(directory_of(container.id), config, hostname_of(container), endpoint.address);
    std::lock_guard lock(container.mutex);
    container.endpoints = {std::move(endpoint)};
}

void Engine::Impl::delete_from_runtime(const ContainerEntry& container) noexcept {
    try {
        base::RunOptions run;
        run.timeout = std::chrono::seconds(30);
        const auto result = base::run(runtime_command({"delete", "--force", container.id}), run);
        // --force is right for one that is not there, too; what is left is worth a line in the log.
        if (!result.status.success())
            base::log_warning("delete container {} from the runtime: {}: {}", container.id, result.status.describe(),
                              result.errors);
    } catch (const std::exception& error) {
        base::log_warning("delete container {} from the runtime: {}", container.id, base::error_chain(error));
    }
}

void Engine::Impl::launch(ContainerEntry& container) {
    const auto shared_config = container.config.get();
    const ContainerConfig& config = *shared_config;
    const std::string run = run_directory_of(container.id);
    base::make_directories(run, 0700);
    base::ScopeExit undo([&]() noexcept {
        try {
            networks.detach(container.id);
            delete_from_runtime(container);
            unmount(run + "/rootfs");
            base::remove_tree(run);
        } catch (const std::exception& error) {
            base::log_warning("clean up container {}: {}", container.id, base::error_chain(error));
        }
        std::lock_guard lock(container.mutex);
        container.endpoints.clear();
        for (const auto& weak : std::exchange(container.waiting_attachments, {}))
            if (const auto attachment = weak.lock())
                attachment->close();
    });
    prepare_bundle(container);

    std::vector<std::string> arguments = {"--id", container.id, "--bundle", run};
    if (config.log.driver == LogConfig::Driver::json_file) {
        arguments.insert(arguments.end(), {"--log", log_path_of(container.id)});
        arguments.insert(arguments.end(), {"--log-max-size", std::to_string(config.log.maximum_size)});
        arguments.insert(arguments.end(), {"--log-max-files", std::to_string(config.log.maximum_files)});
    }
    if (config.tty)
        arguments.emplace_back("--tty");
    if (config.open_stdin)
        arguments.emplace_back("--stdin");
    if (config.stdin_once)
        arguments.emplace_back("--stdin-once");
    const auto connection = start_monitor(run, std::move(arguments));
    // A monitor that waits for a runtime that hangs has to go with it.
    base::ScopeExit end_monitor([&]() noexcept { (void)::kill(connection->monitor_pid(), SIGKILL); });
    const ParsedState created = await_phase(*connection, monitor::Phase::created);
    attach_network(container, created.state.pid);

    std::vector<std::weak_ptr<MonitorAttachment>> waiting;
    {
        std::lock_guard lock(container.mutex);
        waiting = std::exchange(container.waiting_attachments, {});
    }
    for (const auto& weak : waiting)
        if (const auto attachment = weak.lock())
            attachment->connect(run);
    (void)connection->send(monitor::MessageType::start);
    const ParsedState running = await_phase(*connection, monitor::Phase::running);
    end_monitor.dismiss();
    undo.dismiss();

    std::unique_lock lock(container.mutex);
    container.control = connection;
    container.cgroup = cgroups.directory(cgroups.container_path(config.system_service, container.id));
    ContainerState& state = container.state;
    state.status = Status::running;
    state.pid = running.state.pid != 0 ? running.state.pid : created.state.pid;
    state.exit_code = 0;
    state.oom_killed = false;
    state.error.clear();
    state.started = TimePoint(
        std::chrono::duration_cast<TimePoint::duration>(std::chrono::nanoseconds(running.state.started_nsec)));
    state.finished.reset();
    container.changed.notify_all();
    waiting = std::exchange(container.waiting_attachments, {}); // those that came since
    lock.unlock();
    for (const auto& weak : waiting)
        if (const auto attachment = weak.lock())
            attachment->connect(run);
}

} // namespace engine
