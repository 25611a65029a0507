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
#include "runtime/clone_between.hpp"
#include "runtime/kernel.hpp"
#include "runtime/launch.hpp"
#include "runtime/parent_side.hpp"
#include "runtime/privileges.hpp"
#include "runtime/schedule.hpp"
#include "runtime/seccomp_listener.hpp"
#include "runtime/stages.hpp"

namespace engine::runtime {

namespace {

clone_args clone_arguments(int cgroup, int* pidfd) {
    clone_args arguments{};
    arguments.flags = CLONE_PIDFD | (cgroup >= 0 ? CLONE_INTO_CGROUP : 0);
    arguments.pidfd = reinterpret_cast<std::uintptr_t>(pidfd);
    arguments.exit_signal = SIGCHLD;
    arguments.cgroup = cgroup >= 0 ? static_cast<std::uint64_t>(cgroup) : 0;
    return arguments;
}

/// The usual way, for root: we take the pid namespace for our children, and the child joins the others.
void make_child(ExecPlan& plan, Channel& channel, const ChildDescriptors& descriptors, int cgroup, Launched& launched) {
    const PidNamespaceGuard guard((plan.namespaces & CLONE_NEWPID) != 0 ? plan.pidfd : -1);
    int pidfd = -1;
    clone_args arguments = clone_arguments(cgroup, &pidfd);
    const pid_t pid = kernel::clone3(arguments);
    if (pid == 0) {
        close(channel.parent.release());
        run_exec_child(plan, descriptors);
    }
    if (pid < 0)
        base::throw_errno("make the process (clone3)");
    launched.pid = pid;
    launched.pidfd.reset(pidfd);
}

/// A user may join the pid namespace only from inside the user namespace that owns it.
void make_child_by_another(ExecPlan& plan, Channel& channel, const ChildDescriptors& descriptors, int cgroup,
                           Launched& launched) {
    const int namespaces = std::exchange(plan.namespaces, 0);
    plan.become_root = true;
    int unused = -1;
    launched.pid = clone_between(
        clone_arguments(cgroup, &unused), [&] { return setns(plan.pidfd, namespaces) < 0 ? errno : 0; },
        [&] {
            close(channel.parent.release());
            run_exec_child(plan, descriptors);
        });
    launched.pidfd.reset(
        base::check(kernel::pidfd_open(launched.pid), "pidfd_open")); // a child of ours: no other has its pid
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
    const base::UniqueFd cgroup = state.cgroup.empty() ? base::UniqueFd() : open_process_cgroup(state);
    base::fault_point("join");
    set_initial_affinity(options.process.exec_affinity);
    if (joins_user && geteuid() != 0)
        make_child_by_another(plan, channel, descriptors, cgroup.get(), launched);
    else
        make_child(plan, channel, descriptors, cgroup.get(), launched);
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
    const Message message = receive(launched.channel.get(), launched.pid);
    if (message.kind == Message::Kind::failed)
        throw base::Error(describe(message, nullptr, plan.process));
    if (launched.terminal)
        launched.terminal = receive_terminal(launched.terminal.get());
    set_scheduling(launched.pid, options.process);
    set_final_affinity(launched.pid, options.process.exec_affinity);
    base::fault_point("exec_pid_file");
    if (!options.pid_file.empty())
        replace_file(options.pid_file, std::to_string(launched.pid), 0644);
    base::fault_point("exec_release");
    if (const std::optional<ListenerOffer> offer =
            offer_listener(config.linux_part.seccomp, state, Status::running, launched.pid))
        send_go_with(launched.channel.get(), *offer);
    else
        send_go(launched.channel.get());
    if (const std::optional<Message> failure = receive_until_exec(launched.channel.get()))
        throw base::Error(describe(*failure, nullptr, plan.process));
    launched.channel.reset();
    kill_child.dismiss();
    return launched;
}

} // namespace engine::runtime
