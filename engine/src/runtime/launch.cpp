#include "runtime/launch.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>

#include "base/error.hpp"
#include "base/fault_point.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "base/scope_exit.hpp"
#include "runtime/await_exec.hpp"
#include "runtime/clone_between.hpp"
#include "runtime/id_mapped_mounts.hpp"
#include "runtime/kernel.hpp"
#include "runtime/parent_side.hpp"
#include "runtime/privileges.hpp"
#include "runtime/schedule.hpp"
#include "runtime/stages.hpp"
#include "runtime/systemd_scope.hpp"

namespace engine::runtime {

namespace {

int enter(const JoinedNamespace& joined) {
    return setns(joined.fd.get(), joined.flag) < 0 ? errno : 0;
}

/// A FIFO would hold us up for ever, and with the signals that `run` passes on blocked.
std::string read_configuration_file(const std::string& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
        throw base::Error(path + ": is no regular file");
    return base::read_file(path);
}

} // namespace

Launch::Launch(const StateStore& store, LaunchOptions options, bool serve_start, bool take_terminal)
    : store_(store), options_(std::move(options)), serve_start_(serve_start), take_terminal_(take_terminal) {}

Launch::~Launch() {
    if (!committed_)
        undo();
}

void Launch::create() {
    base::fault_point("configuration");
    read_configuration();
    base::fault_point("claim");
    lock_ = store_.claim(options_.id);
    claimed_ = true;
    base::fault_point("save_state");
    store_.save(state_); // before anything is made: `delete --force` finds it should we be killed
    base::fault_point("make_cgroup");
    make_cgroup();
    base::fault_point("start_child");
    start_child();
    base::fault_point("prepare_child");
    prepare_child();
    base::fault_point("await_created");
    await_created();
    base::fault_point("pid_file");
    if (!options_.pid_file.empty())
        replace_file(options_.pid_file, std::to_string(launched_.pid), 0644);
    base::fault_point("after_create");
}

void Launch::read_configuration() {
    check_id(options_.id);
    const std::string path = options_.config_file.empty() ? options_.bundle + "/config.json" : options_.config_file;
    config_text_ = read_configuration_file(path);
    config_ = parse_config(config_text_, path, options_.bundle);
    state_.id = options_.id;
    state_.oci_version = config_.oci_version;
    state_.bundle = options_.bundle;
    state_.rootfs = config_.root.path;
    state_.created = timestamp();
    state_.late_hooks = !config_.hooks.poststart.empty() || !config_.hooks.poststop.empty();
    state_.annotations.assign(config_.annotations.begin(), config_.annotations.end());
    for (const Namespace& entry : config_.linux_part.namespaces)
        state_.namespaces |= entry.flag;
    if (options_.cgroup_manager == CgroupManager::systemd)
        scope_ = systemd_scope(config_.linux_part, options_.id);
    else if (!config_.linux_part.systemd_path.empty())
        throw base::Error(path + ": linux.cgroupsPath: \"" + config_.linux_part.systemd_path +
                          "\" is for systemd: give a path, or --systemd-cgroup");
    if (options_.cgroup_manager == CgroupManager::cgroupfs)
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
    if (!state_.cgroup.empty())
        plan.cgroup_path = Cgroup::absolute_path(state_.cgroup);
    else if (scope_)
        plan.cgroup_mount = Cgroup::mount_point();
    plan.filter_cache = store_.filter_cache();
    plan.no_pivot = options_.no_pivot;
    plan.new_keyring = options_.new_keyring;
    plan.preserve_fds = options_.preserve_fds;
    plan_ = make_plan(config_, plan);
    state_.start_reads_config =
        !config_.hooks.poststart.empty() || !plan_.process.seccomp_listener.empty() || plan_.process.schedule_late;
    if (scope_) // its cgroup namespace and mounts are to be of the scope, where only we can put it
        plan_.await_parent = true;
    plan_.process.keep_groups =
        (plan_.clone_flags & CLONE_NEWUSER) != 0 ? maps_only_caller(config_.linux_part) : groups_are_denied(0);
    check_groups(plan_.process);
    log_warnings(plan_.process);
}

void Launch::make_cgroup() {
    if (!state_.cgroup.empty()) {
        try {
            cgroup_ = std::make_unique<Cgroup>(Cgroup::create(state_.cgroup));
        } catch (const base::Error& error) {
            // A user who was given no group can have containers, but none with limits.
            const bool not_ours = error.error() == EACCES || error.error() == EPERM || error.error() == EROFS;
            if (!not_ours || is_host_root())
                throw;
            refuse_limits(config_,
                          "a user's container, and this user may not make the cgroup: " + std::string(error.what()));
            state_.cgroup.clear();
            store_.save(state_);
        }
    } else if (options_.cgroup_manager == CgroupManager::disabled) {
        refuse_limits(config_, "--cgroup-manager disabled");
    }
    if (cgroup_)
        limit_cgroup();
}

void Launch::join_scope() {
    state_.cgroup = start_scope(*scope_, launched_.pid, config_.linux_part.resources.writes);
    state_.scope = scope_->unit;
    store_.save(state_);
    cgroup_ = std::make_unique<Cgroup>(Cgroup::open(state_.cgroup));
    cgroup_->enable_controllers(); // hugetlb, rdma and misc systemd does not know, and leaves as they are
    limit_cgroup();
}

void Launch::limit_cgroup() {
    base::fault_point("limit_cgroup");
    Resources resources = config_.linux_part.resources;
    if (resources.has_device_rules && !is_host_root() && cannot_make_devices(config_))
        resources.has_device_rules = false; // the kernel would refuse the program; see cannot_make_devices
    cgroup_->apply(resources);
    if (const std::optional<uid_t> owner = cgroup_owner(config_))
        cgroup_->hand_over(*owner);
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
    arguments.flags = plan_.clone_flags | CLONE_PIDFD | (cgroup_ ? CLONE_INTO_CGROUP : 0);
    arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
    arguments.exit_signal = SIGCHLD;
    arguments.cgroup = cgroup_ ? static_cast<std::uint64_t>(cgroup_->fd()) : 0;
    // A user who is not root can write the id mappings of a process only when it is dumpable; it stops being so as soon
    // as they are there, before anything of the container exists that could trace it.
    const bool dumpable = (plan_.clone_flags & CLONE_NEWUSER) != 0 && geteuid() != 0;
    if (dumpable)
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    const auto run_child = [&] {
        close(channel.parent.release());
        close(lock_.release()); // shared with us, it would stay locked until exec
        run_container_child(plan_, descriptors);
    };
    const JoinedNamespace* const outer = plan_.made_inside();
    const pid_t pid = outer == nullptr ? kernel::clone3(arguments)
                                       : clone_between(
                                             arguments, [&] { return enter(*outer); }, run_child);
    if (pid == 0)
        run_child();
    const int error = errno;
    if (dumpable)
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (pid < 0)
        throw clone_failure(error, cgroup_ ? cgroup_->path() : "");
    launched_.pid = pid;
    launched_.pidfd.reset(outer == nullptr ? pidfd : base::check(kernel::pidfd_open(pid), "pidfd_open"));
    launched_.channel = std::move(channel.parent);
    launched_.terminal = std::move(terminal_end);
    state_.pid = pid;
    if (!creating && !created)
        return;
    // The child has at least one message to wait for before these are read. Hooks in the container are told the pid
    // that it has there.
    ContainerState inside = state_;
    inside.pid = pid_inside(pid, plan_);
    if (creating)
        base::write_all(creating.get(), state_document(inside, Status::creating, false), "state");
    if (created)
        base::write_all(created.get(), state_document(inside, Status::created, false), "state");
}

void Launch::prepare_child() {
    const std::string process = "/proc/" + std::to_string(launched_.pid);
    const std::optional<std::uint64_t> start_time = process_start_time(launched_.pid);
    state_.start_time = start_time.value_or(0);
    if (scope_)
        join_scope();
    if (config_.process->oom_score_adj)
        write_file(process + "/oom_score_adj", std::to_string(*config_.process->oom_score_adj), "process.oomScoreAdj");
    if ((plan_.clone_flags & CLONE_NEWUSER) != 0)
        write_id_mappings(launched_.pid, config_.linux_part);
    if (plan_.user_namespace)
        set_rlimits(launched_.pid, plan_.process.rlimits);
    if (plan_.await_parent)
        send_go(launched_.channel.get());
}

void Launch::await_created() {
    replace_file(store_.config_path(options_.id), config_text_, 0600);
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
    if (!plan_.process.schedule_late)
        set_scheduling(launched_.pid, *config_.process); // now that it waits: setting up is not to be slow
}

void Launch::release() {
    std::optional<ListenerOffer> offer =
        offer_listener(config_.linux_part.seccomp, state_, Status::created, state_.pid);
    if (offer)
        send_go_with(launched_.channel.get(), *offer);
    else
        send_go(launched_.channel.get());
    if (const auto failure = await_exec(launched_.channel.get(), launched_.pid, &*config_.process, std::move(offer)))
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
            if (scope_)
                stop_scope(scope_->unit);
        }
    } catch (const std::exception& error) {
        base::log_warning("container {}: clean up: {}", options_.id, base::error_chain(error));
    }
    try {
        if (launched_.pid > 0)
            run_late_hooks(config_.hooks.poststop, "poststop", state_, Status::stopped);
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

} // namespace engine::runtime
