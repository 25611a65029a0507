#include "runtime/stages.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "base/fault_point.hpp"
#include "runtime/child.hpp"
#include "runtime/names.hpp"

namespace engine::runtime {

namespace {

struct Step {
    Stage stage;
    int (*run)(Child&) noexcept;
};

// The order is the security argument: whatever can be influenced from inside (mounts, devices, paths) happens before
// the root changes and by descriptors in it; privileges go after everything that needs them, and nothing but exec
// follows the filter when no_new_privileges allows to load it late. No path of the image's is followed, for its working
// directory or its program, while a descriptor of the host's is open.
constexpr Step container_steps[] = {
    {Stage::session, start_session},
    {Stage::await_parent, await_parent},
    {Stage::namespaces, join_namespaces},
    {Stage::root, prepare_root},
    {Stage::mounts, mount_all},
    {Stage::devices, make_devices},
    {Stage::console, open_console},
    {Stage::hooks_of_runtime, await_runtime_hooks},
    {Stage::hooks_of_container, run_container_hooks},
    {Stage::sysctl, write_sysctls},
    {Stage::names, set_names},
    {Stage::masked_paths, mask_paths},
    {Stage::readonly_paths, make_paths_readonly},
    {Stage::working_directory, make_working_directory},
    {Stage::readonly_mounts, make_mounts_readonly},
    {Stage::change_root, change_root},
    {Stage::limits, set_limits},
    {Stage::security_label, set_security_label},
    {Stage::descriptors, close_descriptors},
    {Stage::program, find_program},
    {Stage::created, report_created},
    {Stage::environment, find_environment},
    {Stage::seccomp, load_seccomp_early},
    {Stage::identity, set_identity},
    {Stage::capabilities, set_capabilities},
    {Stage::start_hooks, run_start_hooks},
    {Stage::scheduling, await_scheduling},
    {Stage::seccomp_late, load_seccomp_late},
    {Stage::exec, execute},
};

constexpr Step exec_steps[] = {
    {Stage::session, start_session},
    {Stage::namespaces, join_namespaces},
    {Stage::console, open_console},
    {Stage::limits, set_limits},
    {Stage::security_label, set_security_label},
    {Stage::descriptors, close_descriptors},
    {Stage::created, report_created},
    {Stage::environment, find_environment},
    {Stage::seccomp, load_seccomp_early},
    {Stage::identity, set_identity},
    {Stage::capabilities, set_capabilities},
    {Stage::scheduling, await_scheduling},
    {Stage::seccomp_late, load_seccomp_late},
    {Stage::exec, execute},
};

/// A stage that is in no table would silently never run.
constexpr bool covers_every_stage() {
    for (unsigned stage = 0; stage <= static_cast<unsigned>(Stage::exec); ++stage) {
        bool found = false;
        for (const Step& step : container_steps)
            found |= step.stage == static_cast<Stage>(stage);
        if (!found)
            return false;
    }
    return true;
}
static_assert(covers_every_stage());

/// In the order of Stage; tests name them.
constexpr const char* stage_names[] = {
    "session",        "await_parent",      "namespaces",         "root",        "mounts",   "devices",
    "console",        "hooks_of_runtime",  "hooks_of_container", "sysctl",      "names",    "masked_paths",
    "readonly_paths", "working_directory", "readonly_mounts",    "change_root", "limits",   "security_label",
    "program",        "created",           "environment",        "seccomp",     "identity", "capabilities",
    "seccomp_late",   "start_hooks",       "scheduling",         "descriptors", "exec",
};
static_assert(std::size(stage_names) == static_cast<std::size_t>(Stage::exec) + 1);

[[noreturn]] void walk(Child& child, std::span<const Step> steps) noexcept {
    for (const Step& step : steps) {
        child.index = -1;
        child.operation = Operation::none;
        int error = base::fault_at(stage_names[static_cast<std::size_t>(step.stage)]);
        if (error == 0)
            error = step.run(child);
        if (error == 0)
            continue;
        const Message failure{Message::Kind::failed, step.stage, child.operation, error, child.index};
        [[maybe_unused]] const ssize_t sent = send(child.waiting(), &failure, sizeof failure, MSG_NOSIGNAL);
        _exit(step.stage == Stage::exec && (error == ENOENT || error == ENOTDIR) ? 127 : 126);
    }
    _exit(126); // not reached: the last step is exec
}

constexpr const char* operation_names[] = {
    "",
    "open",
    "make path",
    "stat",
    "fsopen",
    "fsconfig",
    "fsmount",
    "mount",
    "open_tree",
    "move_mount",
    "mount_setattr",
    "mknod",
    "symlink",
    "write",
    "read",
    "setns",
    "unshare",
    "setsid",
    "ioctl",
    "chdir",
    "chroot",
    "pivot_root",
    "umount",
    "sethostname",
    "setdomainname",
    "setrlimit",
    "prctl",
    "capset",
    "setgroups",
    "setgid",
    "setuid",
    "keyctl",
    "personality",
    "seccomp",
    "fork",
    "wait",
    "the hook failed",
    "the hook did not end in time",
    "the runtime is gone",
    "send the terminal to the console socket",
    "chown",
    "dup",
    "close_range",
    "copy what the tmpfs covers",
    "write linux.timeOffsets",
    "map the ids (does the file system support id-mapped mounts?)",
    "fspick",
    "send the seccomp listener",
    "the directory is outside of the container's root",
    "the file system there is not procfs",
    "the destination is a file of procfs",
    "the host's /dev/null is not the null device",
    "what the host has there is another device",
    "the image has something else there",
    "/dev/pts is not devpts",
    "executable file not found in $PATH",
    "exec",
};
static_assert(std::size(operation_names) == static_cast<std::size_t>(Operation::exec) + 1);

template <typename T>
std::string at(const std::vector<T>& list, int index, const char* name,
               const std::function<std::string(const T&)>& text) {
    if (index < 0 || static_cast<std::size_t>(index) >= list.size())
        return name;
    return std::string(name) + "[" + std::to_string(index) + "]: " + text(list[static_cast<std::size_t>(index)]);
}

std::string mount_text(const PlannedMount& mount) {
    if (mount.kind == PlannedMount::Kind::bind)
        return "bind " + mount.source + " on " + mount.destination;
    if (mount.kind == PlannedMount::Kind::remount)
        return "remount " + mount.destination;
    return "mount " + mount.type + " on " + mount.destination;
}

std::string object_of(const Message& failure, const ContainerPlan* plan, const ProcessPlan& process) {
    const auto path = [](const std::string& text) {
        return text;
    };
    const int index = failure.index;
    if (plan != nullptr) {
        switch (failure.stage) {
        case Stage::namespaces: {
            if (failure.operation == Operation::setns && index >= 0 &&
                static_cast<std::size_t>(index) < plan->joined.size()) {
                const JoinedNamespace& joined = plan->joined[static_cast<std::size_t>(index)];
                return "linux.namespaces: join " + std::string(namespace_type(joined.flag)) + " namespace " +
                       joined.path;
            }
            return "linux.namespaces";
        }
        case Stage::root:
            return "root.path: " + plan->rootfs;
        case Stage::mounts:
        case Stage::readonly_mounts:
            return at<PlannedMount>(plan->mounts, index, "mounts", mount_text);
        case Stage::devices:
            return at<PlannedDevice>(plan->devices, index, "devices", [](const PlannedDevice& d) { return d.path; });
        case Stage::hooks_of_container:
            return at<PlannedHook>(plan->create_container, index, "hooks.createContainer",
                                   [](const PlannedHook& hook) { return hook.path; });
        case Stage::start_hooks:
            return at<PlannedHook>(plan->start_container, index, "hooks.startContainer",
                                   [](const PlannedHook& hook) { return hook.path; });
        case Stage::sysctl:
            return at<std::pair<std::string, std::string>>(plan->sysctl, index, "linux.sysctl",
                                                           [](const auto& entry) { return entry.first; });
        case Stage::masked_paths:
            return at<std::string>(plan->masked_paths, index, "linux.maskedPaths", path);
        case Stage::readonly_paths:
            return at<std::string>(plan->readonly_paths, index, "linux.readonlyPaths", path);
        case Stage::names:
            return "hostname";
        case Stage::change_root:
            return "change root to " + plan->rootfs;
        default:
            break;
        }
    }
    switch (failure.stage) {
    case Stage::session:
        return "new session";
    case Stage::await_parent:
        return "wait for the runtime";
    case Stage::namespaces:
        return "join the container's namespaces";
    case Stage::console:
        return "process.terminal";
    case Stage::working_directory:
        return "process.cwd: " + process.cwd;
    case Stage::environment:
        return failure.operation == Operation::chdir || failure.operation == Operation::outside_root
                   ? "process.cwd: " + process.cwd
                   : "process.env";
    case Stage::limits:
        return failure.operation == Operation::setrlimit ? "process.rlimits[" + std::to_string(index) + "]" : "process";
    case Stage::security_label:
        return "process.apparmorProfile: " + process.apparmor;
    case Stage::seccomp:
    case Stage::seccomp_late:
        return failure.operation == Operation::send_listener ? "linux.seccomp.listenerPath: " + process.seccomp_listener
                                                             : "linux.seccomp: load the filter";
    case Stage::identity:
        return "process.user";
    case Stage::scheduling:
        return "process.scheduler";
    case Stage::capabilities:
        return "process.capabilities";
    case Stage::program:
    case Stage::exec:
        return "exec \"" + std::string(process.argv.data()[0]) + "\"";
    default:
        return "set up";
    }
}

} // namespace

void run_container_child(const ContainerPlan& plan, const ChildDescriptors& descriptors) noexcept {
    Child child{.container = &plan, .process = plan.process, .descriptors = descriptors};
    walk(child, container_steps);
}

void run_exec_child(const ExecPlan& plan, const ChildDescriptors& descriptors) noexcept {
    Child child{.exec = &plan, .process = plan.process, .descriptors = descriptors};
    walk(child, exec_steps);
}

std::string describe(const Message& failure, const ContainerPlan* plan, const ProcessPlan& process) {
    std::string text = object_of(failure, plan, process);
    const auto operation = static_cast<std::size_t>(failure.operation);
    if (failure.operation == Operation::hook_failed)
        return text + ": " +
               (failure.error >= 256 ? "killed by signal " + std::to_string(failure.error - 256)
                                     : "exit code " + std::to_string(failure.error));
    if (failure.operation == Operation::hook_timeout)
        return text + ": did not end in time";
    const bool said = failure.operation == Operation::none || failure.operation == Operation::exec;
    if (!said && operation < std::size(operation_names))
        text += std::string(": ") + operation_names[operation];
    if (failure.operation >= Operation::outside_root && failure.operation < Operation::exec)
        return text; // the check says it all
    return text + ": " + std::generic_category().message(failure.error);
}

} // namespace engine::runtime
