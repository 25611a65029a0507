// A process that joins a running container.
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/fault_point.hpp"
#include "base/files.hpp"
#include "base/scope_exit.hpp"
#include "runtime/await_exec.hpp"
#include "runtime/clone_between.hpp"
#include "runtime/kernel.hpp"
#include "runtime/launch.hpp"
#include "runtime/parent_side.hpp"
#include "runtime/privileges.hpp"
#include "runtime/schedule.hpp"
#include "runtime/stages.hpp"
#include "runtime/systemd_scope.hpp"

namespace engine::runtime {

namespace {

clone_args clone_arguments(int cgroup) {
    clone_args arguments{};
    arguments.flags = cgroup >= 0 ? CLONE_INTO_CGROUP : 0;
    arguments.exit_signal = SIGCHLD;
    arguments.cgroup = cgroup >= 0 ? static_cast<std::uint64_t>(cgroup) : 0;
    return arguments;
}

/// The usual way, for root: we take the pid namespace for our children, and the child joins the others. -1 and errno.
pid_t make_child(ExecPlan& plan, Channel& channel, const ChildDescriptors& descriptors, int cgroup) {
    const PidNamespaceGuard guard((plan.namespaces & CLONE_NEWPID) != 0 ? plan.pidfd : -1);
    clone_args arguments = clone_arguments(cgroup);
    const pid_t pid = kernel::clone3(arguments);
    if (pid == 0) {
        close(channel.parent.release());
        run_exec_child(plan, descriptors);
    }
    return pid;
}

/// A user may join the pid namespace only from inside the user namespace that owns it.
pid_t make_child_by_another(ExecPlan& plan, Channel& channel, const ChildDescriptors& descriptors, int cgroup) {
    const auto enter = [&] {
        return setns(plan.pidfd, plan.namespaces) < 0 ? errno : 0;
    };
    return clone_between(clone_arguments(cgroup), enter, [&] {
        close(channel.parent.release());
        plan.namespaces = 0;
        plan.become_root = true;
        run_exec_child(plan, descriptors);
    });
}

ExecPlan make_exec_plan(const StateStore& store, const ContainerState& state, const Config& config,
                        const ExecOptions& options, int target) {
    PlanOptions plan_options;
    plan_options.id = state.id;
    plan_options.filter_cache = store.filter_cache();
    plan_options.preserve_fds = options.preserve_fds;
    ExecPlan plan;
    plan.process = make_process_plan(options.process, config.linux_part, plan_options);
    plan.pidfd = target;
    plan.namespaces = state.namespaces & ~same_namespaces(state.pid, state.namespaces);
    plan.process.keep_groups = groups_are_denied(state.pid);
    check_groups(plan.process);
    log_warnings(plan.process);
    return plan;
}

} // namespace

Launched launch_in_container(const StateStore& store, const ContainerState& state, const Config& config,
                             const ExecOptions& options) {
    Launched launched;
    const base::UniqueFd target(kernel::pidfd_open(state.pid));
    // The pidfd is of the process that has the pid now: of ours only when it began when ours did.
    if (!target || process_start_time(state.pid) != state.start_time)
        throw base::Error("container \"" + state.id + "\" is not running");
    ExecPlan plan = make_exec_plan(store, state, config, options, target.get());
    const bool joins_user = (plan.namespaces & CLONE_NEWUSER) != 0;

    Channel channel;
    base::UniqueFd console;
    if (!options.console_socket.empty())
        console = connect_to(options.console_socket);
    else if (options.process.terminal && options.take_terminal)
        std::tie(launched.terminal, console) = socket_pair(SOCK_STREAM);
    else if (options.process.terminal)
        throw base::Error("a terminal is asked for: give --console-socket");
    const ChildDescriptors descriptors{channel.child.get(), -1, console.get(), -1, -1};
    const std::string path = state.cgroup.empty() ? std::string() : process_cgroup(state);
    base::UniqueFd cgroup;
    if (!path.empty())
        cgroup = base::open_file(Cgroup::absolute_path(path), O_RDONLY | O_DIRECTORY);
    base::fault_point("join");
    set_initial_affinity(options.process.exec_affinity);
    const auto make = joins_user && geteuid() != 0 ? make_child_by_another : make_child;
    launched.pid = make(plan, channel, descriptors, cgroup.get());
    // A user's session is outside of what systemd has given him: only systemd may move a process from there.
    const bool by_systemd = launched.pid < 0 && errno == EACCES && !state.scope.empty();
    if (by_systemd)
        launched.pid = make(plan, channel, descriptors, -1);
    if (launched.pid < 0)
        throw clone_failure(errno, path);
    // A child of ours: no other has its pid.
    launched.pidfd.reset(base::check(kernel::pidfd_open(launched.pid), "pidfd_open"));
    launched.channel = std::move(channel.parent);
    channel.child.reset();
    console.reset();
    base::ScopeExit kill_child([&] {
        kernel::pidfd_send_signal(launched.pidfd.get(), SIGKILL);
        while (waitpid(launched.pid, nullptr, 0) < 0 && errno == EINTR) {
        }
    });
    base::fault_point("joined");
    const std::string process = "/proc/" + std::to_string(launched.pid);
    if (options.process.oom_score_adj)
        write_file(process + "/oom_score_adj", std::to_string(*options.process.oom_score_adj), "process.oomScoreAdj");
    if (joins_user)
        set_rlimits(launched.pid, plan.process.rlimits);
    if (by_systemd)
        join_scope(state.scope, path.substr(state.cgroup.size()), launched.pid);
    const Message message = receive(launched.channel.get(), launched.pid);
    if (message.kind == Message::Kind::failed)
        throw base::Error(describe(message, nullptr, plan.process));
    if (launched.terminal)
        launched.terminal = receive_terminal(launched.terminal.get());
    if (!plan.process.schedule_late)
        set_scheduling(launched.pid, options.process);
    set_final_affinity(launched.pid, options.process.exec_affinity);
    base::fault_point("exec_pid_file");
    if (!options.pid_file.empty())
        replace_file(options.pid_file, std::to_string(launched.pid), 0644);
    base::fault_point("exec_release");
    std::optional<ListenerOffer> offer =
        offer_listener(config.linux_part.seccomp, state, Status::running, launched.pid);
    if (offer)
        send_go_with(launched.channel.get(), *offer);
    else
        send_go(launched.channel.get());
    if (const auto failure = await_exec(launched.channel.get(), launched.pid, &options.process, std::move(offer)))
        throw base::Error(describe(*failure, nullptr, plan.process));
    launched.channel.reset();
    kill_child.dismiss();
    return launched;
}

} // namespace engine::runtime
