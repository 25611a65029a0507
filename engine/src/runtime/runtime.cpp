#include "runtime/runtime.hpp"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "runtime/foreground.hpp"
#include "runtime/kernel.hpp"
#include "runtime/names.hpp"
#include "runtime/parent_side.hpp"

namespace engine::runtime {

namespace {

constexpr std::chrono::seconds kill_timeout{10};

Config load_config(const StateStore& store, const ContainerState& state) {
    const std::string path = store.config_path(state.id);
    return parse_config(base::read_file(path), path, state.bundle);
}

/// Hooks whose failure changes nothing any more (specification, "Lifecycle").
void run_late_hooks(const std::vector<Hook>& hooks, const char* name, const ContainerState& state, Status status) {
    try {
        run_runtime_hooks(hooks, name, state, status);
    } catch (const base::Error& error) {
        base::log_warning("container {}: {}", state.id, error.what());
    }
}

/// The stage and object of a failure that came from another process than the one that made the plan.
std::string describe_start_failure(const StateStore& store, const ContainerState& state, const Message& failure) {
    const Config config = load_config(store, state);
    PlanOptions options;
    options.id = state.id;
    options.bundle = state.bundle;
    options.cgroup_path = Cgroup::mount_point() + state.cgroup;
    options.filter_cache = store.filter_cache();
    const ContainerPlan plan = make_plan(config, options);
    return describe(failure, &plan, plan.process);
}

/// For a process that is about to exit.
void await_end(const ContainerState& state) {
    const base::UniqueFd process(kernel::pidfd_open(state.pid));
    pollfd wait{process.get(), POLLIN, 0};
    if (process && process_start_time(state.pid) == state.start_time)
        poll(&wait, 1, static_cast<int>(std::chrono::milliseconds(kill_timeout).count()));
}

std::uint32_t parse_number(std::string_view text, const char* what) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size())
        throw base::Error(std::string(what) + " \"" + std::string(text) + "\" is not a number");
    return number;
}

void apply_user(User& user, std::string_view text) {
    const std::size_t colon = text.find(':');
    user.uid = parse_number(text.substr(0, colon), "user");
    if (colon != std::string_view::npos)
        user.gid = parse_number(text.substr(colon + 1), "group");
}

void add_capabilities(Process& process, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
        const std::optional<unsigned> number = capability_number(name);
        if (!number)
            throw base::Error("unknown capability \"" + name + "\"");
        if (!process.capabilities)
            process.capabilities.emplace();
        const std::uint64_t bit = std::uint64_t{1} << *number;
        process.capabilities->bounding |= bit;
        process.capabilities->permitted |= bit;
        process.capabilities->effective |= bit;
    }
}

void set_environment(std::vector<std::string>& environment, const std::string& variable) {
    const std::size_t equals = variable.find('=');
    if (equals == std::string::npos || equals == 0)
        throw base::Error("environment \"" + variable + "\" is not of the form NAME=value");
    const std::string prefix = variable.substr(0, equals + 1);
    for (std::string& existing : environment) {
        if (existing.starts_with(prefix)) {
            existing = variable;
            return;
        }
    }
    environment.push_back(variable);
}

Process exec_process(const ExecRequest& request, const Config& config) {
    if (!request.process_file.empty())
        return parse_process(base::read_file(request.process_file), request.process_file);
    if (!config.process)
        throw base::Error("config.json: \"process\" is missing");
    Process process = *config.process;
    process.args = request.args;
    process.terminal = request.terminal;
    process.console_rows = process.console_columns = 0;
    for (const std::string& variable : request.env)
        set_environment(process.env, variable);
    if (!request.cwd.empty())
        process.cwd = request.cwd;
    if (!request.user.empty()) {
        process.user.additional_gids.clear();
        apply_user(process.user, request.user);
    }
    for (const unsigned gid : request.additional_gids)
        process.user.additional_gids.push_back(gid);
    process.no_new_privileges |= request.no_new_privileges;
    add_capabilities(process, request.capabilities);
    return process;
}

} // namespace

void Runtime::create(const LaunchOptions& options) {
    Launch launch(store_, options, true, false);
    launch.create();
    launch.commit();
}

void Runtime::start(const std::string& id) {
    const base::UniqueFd lock = store_.lock(id);
    const ContainerState state = store_.load(id);
    const Status status = store_.status(state);
    if (status != Status::created)
        throw base::Error("container \"" + id + "\" is " + to_string(status) + ", not created");
    const std::string path = store_.start_socket(id);
    const base::UniqueFd connection = connect_to(path);
    base::check(unlink(path.c_str()), "remove " + path);
    if (const std::optional<Message> failure = receive_until_exec(connection.get())) {
        await_end(state); // so that `delete` finds it stopped
        throw base::Error(describe_start_failure(store_, state, *failure));
    }
    const Config config = load_config(store_, state);
    run_late_hooks(config.hooks.poststart, "poststart", state, Status::running);
}

int Runtime::run(const RunOptions& options) {
    const SignalForwarder signals(!options.detach);
    Launch launch(store_, options.launch, false, !options.detach);
    launch.create();
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
    if (status == Status::paused)
        throw base::Error("container \"" + request.id + "\" is paused");
    if (status != Status::running && status != Status::created)
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

void Runtime::kill(const std::string& id, int signal, bool all) {
    const ContainerState state = store_.load(id);
    const Status status = store_.status(state);
    if (all && !state.cgroup.empty()) {
        const Cgroup group = Cgroup::open(state.cgroup);
        if (signal == SIGKILL) {
            group.kill();
            return;
        }
        for (const pid_t pid : group.processes())
            if (::kill(pid, signal) < 0 && errno != ESRCH)
                base::throw_errno("signal process " + std::to_string(pid));
        return;
    }
    if (status == Status::stopped || status == Status::creating)
        throw base::Error("container \"" + id + "\" is " + std::string(to_string(status)) + ", not running");
    const base::UniqueFd process(kernel::pidfd_open(state.pid));
    if (!process || process_start_time(state.pid) != state.start_time)
        throw base::Error("container \"" + id + "\" is not running");
    base::check(kernel::pidfd_send_signal(process.get(), signal), "signal container \"" + id + "\"");
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
        const base::UniqueFd process(kernel::pidfd_open(state.pid));
        if (process && process_start_time(state.pid) == state.start_time)
            kernel::pidfd_send_signal(process.get(), SIGKILL);
    }
    finish(state);
}

void Runtime::finish(const ContainerState& state) {
    if (!state.cgroup.empty()) {
        const Cgroup group = Cgroup::open(state.cgroup);
        if (group.populated()) {
            group.kill();
            if (!group.wait_until_empty(kill_timeout))
                throw base::Error(ETIMEDOUT, "container \"" + state.id + "\": wait for the end of its processes");
        }
        group.remove();
    }
    std::optional<Config> config;
    try {
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

void Runtime::update(const std::string& id, const std::string& resources_file) {
    const base::UniqueFd lock = store_.lock(id);
    const ContainerState state = store_.load(id);
    if (store_.status(state) == Status::stopped)
        throw base::Error("container \"" + id + "\" is stopped");
    constexpr std::size_t limit = 1024 * 1024;
    const std::string text = resources_file == "-" ? base::read_fd(STDIN_FILENO, limit, "standard input")
                                                   : base::read_file(resources_file, limit);
    Cgroup::open(state.cgroup).update(parse_resources(text, resources_file));
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
