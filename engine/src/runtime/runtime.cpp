#include "runtime/runtime.hpp"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <span>

#include "base/error.hpp"
#include "base/fault_point.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "runtime/await_exec.hpp"
#include "runtime/foreground.hpp"
#include "runtime/kernel.hpp"
#include "runtime/parent_side.hpp"
#include "runtime/statistics.hpp"
#include "runtime/systemd_scope.hpp"

namespace engine::runtime {

namespace {

constexpr std::chrono::seconds kill_timeout{10};

Config load_config(const StateStore& store, const ContainerState& state) {
    const std::string path = store.config_path(state.id);
    return parse_config(base::read_file(path), path, state.bundle);
}

/// The stage and object of a failure that came from another process than the one that made the plan.
std::string describe_start_failure(const StateStore& store, const ContainerState& state, const Message& failure) {
    Config config = load_config(store, state);
    for (Namespace& joined : config.linux_part.namespaces)
        joined.path.clear(); // those are long joined, and what the path named may be gone
    PlanOptions options;
    options.id = state.id;
    options.bundle = state.bundle;
    if (!state.cgroup.empty())
        options.cgroup_path = Cgroup::absolute_path(state.cgroup);
    options.filter_cache = store.filter_cache();
    const ContainerPlan plan = make_plan(config, options);
    return describe(failure, &plan, plan.process);
}

void kill_first(const ContainerState& state) {
    const base::UniqueFd process(kernel::pidfd_open(state.pid));
    if (process && process_start_time(state.pid) == state.start_time)
        kernel::pidfd_send_signal(process.get(), SIGKILL);
}

/// For a process that is about to exit.
void await_end(const ContainerState& state) {
    const base::UniqueFd process(kernel::pidfd_open(state.pid));
    pollfd wait{process.get(), POLLIN, 0};
    if (process && process_start_time(state.pid) == state.start_time)
        poll(&wait, 1, static_cast<int>(std::chrono::milliseconds(kill_timeout).count()));
}

} // namespace

void Runtime::create(LaunchOptions options) {
    options.cgroup_manager = cgroup_manager_;
    Launch launch(store_, std::move(options), true, false);
    launch.create();
    launch.commit();
}

void Runtime::start(const std::string& id) {
    const base::UniqueFd lock = store_.lock(id);
    const ContainerState state = store_.load(id);
    const Status status = store_.status(state);
    if (status != Status::created)
        throw base::Error("container \"" + id + "\" is " + to_string(status) + ", not created");
    std::optional<Config> config;
    std::optional<ListenerOffer> listener;
    if (state.start_reads_config) {
        config = load_config(store_, state);
        listener = offer_listener(config->linux_part.seccomp, state, status, state.pid); // before it knows of us
    }
    const std::string path = store_.start_socket(id);
    base::fault_point("start");
    const base::UniqueFd connection = connect_to(path);
    base::check(unlink(path.c_str()), "remove " + path);
    if (listener)
        send_go_with(connection.get(), *listener);
    base::fault_point("started");
    std::optional<Message> failure;
    try {
        failure = await_exec(connection.get(), state.pid, config ? &*config->process : nullptr, std::move(listener));
    } catch (const base::Error&) {
        kill_first(state);
        await_end(state);
        throw;
    }
    if (failure) {
        await_end(state); // so that `delete` finds it stopped
        throw base::Error(describe_start_failure(store_, state, *failure));
    }
    if (config)
        run_late_hooks(config->hooks.poststart, "poststart", state, Status::running);
}

int Runtime::run(RunOptions options) {
    options.launch.cgroup_manager = cgroup_manager_;
    const SignalForwarder signals(!options.detach);
    Launch launch(store_, std::move(options.launch), false, !options.detach);
    launch.create();
    base::fault_point("release");
    launch.release();
    launch.commit();
    const ContainerState state = launch.state();
    run_late_hooks(launch.config().hooks.poststart, "poststart", state, Status::running);
    if (options.detach)
        return 0;
    const int code = attend(launch.process(), signals);
    if (!options.keep)
        finish_run(state);
    return code;
}

int Runtime::exec(const ExecRequest& request) {
    const ContainerState state = store_.load(request.id);
    const Status status = store_.status(state);
    if (status == Status::paused && !request.ignore_paused)
        throw base::Error("container \"" + request.id + "\" is paused");
    if (status != Status::running && status != Status::created && status != Status::paused)
        throw base::Error("container \"" + request.id + "\" is " + std::string(to_string(status)) + ", not running");
    const Config config = load_config(store_, state);
    ExecOptions options;
    options.id = request.id;
    options.process = exec_process(request, config);
    options.pid_file = request.pid_file;
    options.console_socket = request.console_socket;
    options.preserve_fds = request.preserve_fds;
    options.take_terminal = !request.detach;
    const SignalForwarder signals(!request.detach);
    Launched launched = launch_in_container(store_, state, config, options);
    return request.detach ? 0 : attend(launched, signals);
}

namespace {

/// containerd and others look for "container not running" to tell an end from a failure.
[[noreturn]] void throw_not_running(const std::string& id, Status status) {
    throw base::Error("container not running: \"" + id + "\" is " + to_string(status));
}

/// A process that ended after it was listed may have left its pid to another's: those are signalled that are listed
/// again when we hold them.
void signal_held(const Cgroup& group, std::span<const pid_t> pids, int signal) {
    std::vector<std::pair<pid_t, base::UniqueFd>> held;
    for (const pid_t pid : pids)
        held.emplace_back(pid, kernel::pidfd_open(pid));
    const std::vector<pid_t> now = group.processes();
    for (const auto& [pid, process] : held) {
        if (!process || std::find(now.begin(), now.end(), pid) == now.end())
            continue;
        if (kernel::pidfd_send_signal(process.get(), signal) < 0 && errno != ESRCH)
            base::throw_errno("signal process " + std::to_string(pid));
    }
}

void kill_all(const ContainerState& state, int signal) {
    const Cgroup group = Cgroup::open(state.cgroup);
    if (signal == SIGKILL) {
        group.kill();
        return;
    }
    const std::vector<pid_t> pids = group.processes();
    constexpr std::size_t at_once = 256; // descriptors
    for (std::span<const pid_t> rest = pids; !rest.empty(); rest = rest.subspan(std::min(at_once, rest.size())))
        signal_held(group, rest.first(std::min(at_once, rest.size())), signal);
}

} // namespace

void Runtime::kill(const std::string& id, int signal, bool all) {
    const ContainerState state = store_.load(id);
    const Status status = store_.status(state);
    // Without a cgroup the kernel kills all with the first process of a pid namespace; other signals it has to pass on.
    const bool first_takes_all = signal == SIGKILL && (state.namespaces & CLONE_NEWPID) != 0;
    if (all && !(state.cgroup.empty() && first_takes_all)) {
        kill_all(state, signal);
        return;
    }
    if (status == Status::stopped || status == Status::creating)
        throw_not_running(id, status);
    const base::UniqueFd process(kernel::pidfd_open(state.pid));
    if (!process || process_start_time(state.pid) != state.start_time)
        throw_not_running(id, Status::stopped);
    if (kernel::pidfd_send_signal(process.get(), signal) == 0)
        return;
    if (errno == ESRCH)
        throw_not_running(id, Status::stopped);
    base::throw_errno("signal container \"" + id + "\"");
}

void Runtime::remove(const std::string& id, bool force) {
    base::UniqueFd lock;
    try {
        lock = store_.lock(id);
    } catch (const NoSuchContainer&) {
        if (force)
            return;
        throw;
    }
    ContainerState state;
    try {
        state = store_.load(id);
    } catch (const base::Error&) {
        if (!force)
            throw;
        store_.remove(id); // a create that was killed in its first steps, or a damaged file
        return;
    }
    const Status status = store_.status(state);
    if (status != Status::stopped && !force)
        throw base::Error("container \"" + id + "\" is " + std::string(to_string(status)) +
                          "; stop it, or delete it with --force");
    if (status != Status::stopped && status != Status::creating) {
        kill_first(state);
        if (state.cgroup.empty())
            await_end(state);
    }
    finish(state);
}

namespace {

/// A systemd that is away must not keep a container from being deleted.
void end_scope(const ContainerState& state) {
    try {
        stop_scope(state.scope);
    } catch (const base::Error& error) {
        base::log_warning("container {}: {}", state.id, error.what());
    }
}

} // namespace

void Runtime::finish(const ContainerState& state) {
    base::fault_point("finish");
    if (!state.cgroup.empty()) {
        const Cgroup group = Cgroup::open(state.cgroup);
        if (group.populated()) {
            group.kill();
            if (!group.wait_until_empty(kill_timeout))
                throw base::Error(ETIMEDOUT, "container \"" + state.id + "\": wait for the end of its processes");
        }
        base::fault_point("remove_cgroup");
        group.remove();
        if (!state.scope.empty())
            end_scope(state);
    }
    base::fault_point("remove_state");
    std::optional<Config> config;
    try {
        if (state.late_hooks)
            config = load_config(store_, state);
    } catch (const base::Error& error) {
        // Without one (a create that was killed early) there are no hooks; the rest is removed all the same.
        base::log_warning("container {}: {}", state.id, error.what());
    }
    store_.remove(state.id);
    if (config)
        run_late_hooks(config->hooks.poststop, "poststop", state, Status::stopped);
}

void Runtime::finish_run(const ContainerState& state) {
    try {
        const base::UniqueFd lock = store_.lock(state.id);
        const ContainerState now = store_.load(state.id);
        if (now.pid == state.pid && now.start_time == state.start_time)
            finish(state);
    } catch (const NoSuchContainer&) {
        return; // somebody has deleted it by force, and may have made another of its name
    }
}

void Runtime::pause(const std::string& id, bool paused) {
    const base::UniqueFd lock = store_.lock(id);
    const ContainerState state = store_.load(id);
    const Status status = store_.status(state);
    const bool possible = paused ? status == Status::running || status == Status::created : status == Status::paused;
    if (!possible)
        throw base::Error("container \"" + id + "\" is " + to_string(status) +
                          (paused ? ", not running" : ", not paused"));
    Cgroup::open(state.cgroup).freeze(paused);
}

void Runtime::update(const std::string& id, const std::string& document, const std::string& name) {
    const base::UniqueFd lock = store_.lock(id);
    const ContainerState state = store_.load(id);
    if (store_.status(state) == Status::stopped)
        throw base::Error("container \"" + id + "\" is stopped");
    const Resources resources = parse_resources(document, name);
    const Cgroup group = Cgroup::open(state.cgroup);
    group.update(resources);
    if (!state.scope.empty())
        change_scope(state.scope, group, resources.writes);
}

std::string Runtime::statistics(const std::string& id) {
    const ContainerState state = store_.load(id);
    if (store_.status(state) == Status::stopped)
        throw_not_running(id, Status::stopped);
    return statistics_event(state);
}

void Runtime::watch(const std::string& id, std::chrono::milliseconds interval,
                    const std::function<void(const std::string&)>& report) {
    const ContainerState state = store_.load(id);
    if (store_.status(state) == Status::stopped)
        throw_not_running(id, Status::stopped);
    watch_container(state, interval, report);
}

std::vector<pid_t> Runtime::processes(const std::string& id) {
    const ContainerState state = store_.load(id);
    return Cgroup::open(state.cgroup).processes();
}

std::pair<ContainerState, Status> Runtime::state(const std::string& id) {
    ContainerState state = store_.load(id);
    const Status status = store_.status(state);
    return {std::move(state), status};
}

std::vector<std::pair<ContainerState, Status>> Runtime::list() {
    std::vector<std::pair<ContainerState, Status>> containers;
    for (const std::string& id : store_.ids()) {
        try {
            containers.push_back(state(id));
        } catch (const NoSuchContainer&) {
            continue; // removed while we looked
        }
    }
    return containers;
}

} // namespace engine::runtime
