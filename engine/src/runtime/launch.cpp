#include "runtime/launch.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "base/scope_exit.hpp"
#include "runtime/id_mapped_mounts.hpp"
#include "runtime/kernel.hpp"
#include "runtime/parent_side.hpp"
#include "runtime/schedule.hpp"
#include "runtime/stages.hpp"

namespace engine::runtime {

Launch::Launch(const StateStore& store, LaunchOptions options, bool serve_start, bool take_terminal)
    : store_(store), options_(std::move(options)), serve_start_(serve_start), take_terminal_(take_terminal) {}

Launch::~Launch() {
    if (!committed_)
        undo();
}

void Launch::create() {
    read_configuration();
    lock_ = store_.claim(options_.id);
    claimed_ = true;
    store_.save(state_); // before anything is made: `delete --force` finds it should we be killed
    make_cgroup();
    start_child();
    prepare_child();
    await_created();
    if (!options_.pid_file.empty())
        replace_file(options_.pid_file, std::to_string(launched_.pid), 0644);
}

void Launch::read_configuration() {
    check_id(options_.id);
    const std::string path = options_.config_file.empty() ? options_.bundle + "/config.json" : options_.config_file;
    const std::string text = base::read_file(path);
    config_ = parse_config(text, path, options_.bundle);
    state_.id = options_.id;
    state_.oci_version = config_.oci_version;
    state_.bundle = options_.bundle;
    state_.rootfs = config_.root.path;
    state_.created = timestamp();
    state_.annotations.assign(config_.annotations.begin(), config_.annotations.end());
    for (const Namespace& entry : config_.linux_part.namespaces)
        state_.namespaces |= entry.flag;
    state_.cgroup =
        config_.linux_part.cgroups_path.empty() ? "/ocirun/" + options_.id : config_.linux_part.cgroups_path;

    if (!config_.process)
        throw base::Error(path + ": \"process\" is missing");
    if (!config_.process->terminal && !options_.console_socket.empty())
        throw base::Error("a console socket is given, but process.terminal is false");
    if (config_.process->terminal && options_.console_socket.empty() && !take_terminal_)
        throw base::Error("process.terminal is true: give --console-socket");
    PlanOptions plan;
    plan.id = options_.id;
    plan.bundle = options_.bundle;
    plan.cgroup_path = Cgroup::mount_point() + state_.cgroup;
    plan.filter_cache = store_.filter_cache();
    plan.no_pivot = options_.no_pivot;
    plan.new_keyring = options_.new_keyring;
    plan.preserve_fds = options_.preserve_fds;
    plan_ = make_plan(config_, plan);
}

void Launch::make_cgroup() {
    cgroup_ = std::make_unique<Cgroup>(Cgroup::create(state_.cgroup));
    cgroup_->apply(config_.linux_part.resources);
}

void Launch::start_child() {
    Channel channel;
    base::UniqueFd listener, console, terminal_end, creating, created;
    if (serve_start_)
        listener = listen_at(store_.directory(options_.id), "start");
    if (!options_.console_socket.empty())
        console = connect_to(options_.console_socket);
    else if (config_.process->terminal)
        std::tie(terminal_end, console) = socket_pair(SOCK_STREAM);
    if (!plan_.create_container.empty())
        creating = memory_file("state");
    if (!plan_.start_container.empty())
        created = memory_file("state");

    prepare_id_mapped_mounts(plan_);
    const ChildDescriptors descriptors{channel.child.get(), listener.get(), console.get(), creating.get(),
                                       created.get()};
    // A pid namespace is joined by the parent and holds for its children; ours is taken back for the hooks.
    const PidNamespaceGuard guard(find_pid_namespace(plan_));
    int pidfd = -1;
    clone_args arguments{};
    arguments.flags = plan_.clone_flags | CLONE_PIDFD | CLONE_INTO_CGROUP;
    arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
    arguments.exit_signal = SIGCHLD;
    arguments.cgroup = static_cast<std::uint64_t>(cgroup_->fd());
    const pid_t pid = kernel::clone3(arguments);
    if (pid == 0) {
        close(channel.parent.release());
        close(lock_.release()); // shared with us, it would stay locked until exec
        run_container_child(plan_, descriptors);
    }
    if (pid < 0)
        base::throw_errno("make the container's process (clone3)");
    launched_.pid = pid;
    launched_.pidfd.reset(pidfd);
    launched_.channel = std::move(channel.parent);
    launched_.terminal = std::move(terminal_end);
    state_.pid = pid;
    // The child has at least one message to wait for before these are read.
    if (creating)
        base::write_all(creating.get(), state_document(state_, Status::creating, false), "state");
    if (created)
        base::write_all(created.get(), state_document(state_, Status::created, false), "state");
}

void Launch::prepare_child() {
    const std::string process = "/proc/" + std::to_string(launched_.pid);
    const std::optional<std::uint64_t> start_time = process_start_time(launched_.pid);
    state_.start_time = start_time.value_or(0);
    if (config_.process->oom_score_adj)
        write_file(process + "/oom_score_adj", std::to_string(*config_.process->oom_score_adj), "process.oomScoreAdj");
    if ((plan_.clone_flags & CLONE_NEWUSER) != 0) {
        write_file(process + "/uid_map", plan_.uid_map, "linux.uidMappings");
        write_file(process + "/gid_map", plan_.gid_map, "linux.gidMappings");
        set_rlimits(launched_.pid, plan_.process.rlimits);
    }
    if (plan_.await_parent)
        send_go(launched_.channel.get());
}

void Launch::await_created() {
    replace_file(
        store_.config_path(options_.id),
        base::read_file(options_.config_file.empty() ? options_.bundle + "/config.json" : options_.config_file), 0600);
    store_.save(state_);
    Message message = receive(launched_.channel.get(), launched_.pid);
    if (message.kind == Message::Kind::prepared) {
        run_runtime_hooks(config_.hooks.prestart, "prestart", state_, Status::creating);
        run_runtime_hooks(config_.hooks.create_runtime, "createRuntime", state_, Status::creating);
        send_go(launched_.channel.get());
        message = receive(launched_.channel.get(), launched_.pid);
    }
    if (message.kind == Message::Kind::failed)
        throw base::Error(describe(message, &plan_, plan_.process));
    if (message.kind != Message::Kind::created)
        throw base::Error("the container's process sent an unknown message");
    if (launched_.terminal)
        launched_.terminal = receive_terminal(launched_.terminal.get());
    set_scheduling(launched_.pid, *config_.process); // now that it waits: setting up is not to be slow
}

void Launch::release() {
    send_go(launched_.channel.get());
    if (const std::optional<Message> failure = receive_until_exec(launched_.channel.get()))
        throw base::Error(describe(*failure, &plan_, plan_.process));
    launched_.channel.reset();
}

void Launch::undo() noexcept {
    try {
        if (launched_.pid > 0) {
            kernel::pidfd_send_signal(launched_.pidfd.get(), SIGKILL);
            while (waitpid(launched_.pid, nullptr, 0) < 0 && errno == EINTR) {
            }
        }
        if (cgroup_) {
            cgroup_->kill();
            cgroup_->wait_until_empty(std::chrono::seconds(10));
            cgroup_->remove();
        }
    } catch (const std::exception& error) {
        base::log_warning("container {}: clean up: {}", options_.id, base::error_chain(error));
    }
    try {
        if (launched_.pid > 0)
            run_runtime_hooks(config_.hooks.poststop, "poststop", state_, Status::stopped);
    } catch (const std::exception& error) {
        base::log_warning("container {}: {}", options_.id, base::error_chain(error));
    }
    try {
        if (claimed_)
            store_.remove(options_.id);
        if (claimed_ && !options_.pid_file.empty())
            unlink(options_.pid_file.c_str());
    } catch (const std::exception& error) {
        base::log_warning("container {}: clean up: {}", options_.id, base::error_chain(error));
    }
}

Launched launch_in_container(const StateStore& store, const ContainerState& state, const Config& config,
                             const ExecOptions& options) {
    PlanOptions plan_options;
    plan_options.id = state.id;
    plan_options.filter_cache = store.filter_cache();
    plan_options.preserve_fds = options.preserve_fds;
    ExecPlan plan;
    plan.process = make_process_plan(options.process, config.linux_part, plan_options);
    plan.namespaces = state.namespaces;

    Launched launched;
    const base::UniqueFd target(kernel::pidfd_open(state.pid));
    // The pidfd is of the process that has the pid now: of ours only when it began when ours did.
    if (!target || process_start_time(state.pid) != state.start_time)
        throw base::Error("container \"" + state.id + "\" is not running");
    plan.pidfd = target.get();
    plan.namespaces &= ~same_namespaces(state.pid, plan.namespaces);

    Channel channel;
    base::UniqueFd console;
    if (!options.console_socket.empty())
        console = connect_to(options.console_socket);
    else if (options.process.terminal && options.take_terminal)
        std::tie(launched.terminal, console) = socket_pair(SOCK_STREAM);
    else if (options.process.terminal)
        throw base::Error("a terminal is asked for: give --console-socket");
    const ChildDescriptors descriptors{channel.child.get(), -1, console.get(), -1, -1};
    const PidNamespaceGuard guard((plan.namespaces & CLONE_NEWPID) != 0 ? target.get() : -1);
    const base::UniqueFd cgroup = open_process_cgroup(state);
    set_initial_affinity(options.process.exec_affinity);
    int pidfd = -1;
    clone_args arguments{};
    arguments.flags = CLONE_PIDFD | CLONE_INTO_CGROUP;
    arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
    arguments.exit_signal = SIGCHLD;
    arguments.cgroup = static_cast<std::uint64_t>(cgroup.get());
    const pid_t pid = kernel::clone3(arguments);
    if (pid == 0) {
        close(channel.parent.release());
        run_exec_child(plan, descriptors);
    }
    if (pid < 0)
        base::throw_errno("make the process (clone3)");
    launched.pid = pid;
    launched.pidfd.reset(pidfd);
    launched.channel = std::move(channel.parent);
    channel.child.reset();
    console.reset();
    base::ScopeExit kill_child([&] {
        kernel::pidfd_send_signal(launched.pidfd.get(), SIGKILL);
        while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
    });
    const std::string process = "/proc/" + std::to_string(pid);
    if (options.process.oom_score_adj)
        write_file(process + "/oom_score_adj", std::to_string(*options.process.oom_score_adj), "process.oomScoreAdj");
    if ((plan.namespaces & CLONE_NEWUSER) != 0)
        set_rlimits(pid, plan.process.rlimits);
    const Message message = receive(launched.channel.get(), pid);
    if (message.kind == Message::Kind::failed)
        throw base::Error(describe(message, nullptr, plan.process));
    if (launched.terminal)
        launched.terminal = receive_terminal(launched.terminal.get());
    set_scheduling(pid, options.process);
    set_final_affinity(pid, options.process.exec_affinity);
    if (!options.pid_file.empty())
        replace_file(options.pid_file, std::to_string(pid), 0644);
    send_go(launched.channel.get());
    if (const std::optional<Message> failure = receive_until_exec(launched.channel.get()))
        throw base::Error(describe(*failure, nullptr, plan.process));
    launched.channel.reset();
    kill_child.dismiss();
    return launched;
}

} // namespace engine::runtime
