// What happens between clone(2) and execve(2), as tables of stages over a plan.
//
//   ocirun create                       the child                          ocirun start
//     clone  ------------------------->   session, signals
//     id mappings, then `go` --------->   namespaces, root, mounts, devices, console
//       <----------- `prepared` (hooks)
//     prestart, createRuntime hooks
//     `go` --------------------------->   createContainer hooks, sysctl, masks, pivot_root, limits
//       <------------------- `created`    waits on the start socket  <----  connects
//     writes the state, exits             (`run`: waits for `go` on the same channel)
//                                         identity, capabilities, startContainer hooks, seccomp, exec
//                                           end of file: exec happened, or a failure  ---->  reports it
//
// A failure anywhere is one message {stage, operation, errno, index}; `describe` makes text of it with the plan.
#pragma once
#include <cstdint>
#include <string>

#include "runtime/plan.hpp"

namespace engine::runtime {

enum class Stage : std::uint8_t {
    session,
    await_parent,
    namespaces,
    root,
    mounts,
    devices,
    console,
    hooks_of_runtime,
    hooks_of_container,
    sysctl,
    names,
    masked_paths,
    readonly_paths,
    working_directory,
    readonly_mounts,
    change_root,
    limits,
    security_label,
    program,
    created,
    environment,
    seccomp,
    identity,
    capabilities,
    seccomp_late,
    start_hooks,
    scheduling,
    descriptors,
    exec,
};

/// The system call, or the check of ours, that failed.
enum class Operation : std::uint8_t {
    none,
    open,
    make_path,
    stat,
    fsopen,
    fsconfig,
    fsmount,
    mount,
    open_tree,
    move_mount,
    mount_setattr,
    mknod,
    symlink,
    write,
    read,
    setns,
    unshare,
    setsid,
    ioctl,
    chdir,
    chroot,
    pivot_root,
    umount,
    sethostname,
    setdomainname,
    setrlimit,
    prctl,
    capset,
    setgroups,
    setgid,
    setuid,
    keyctl,
    personality,
    seccomp,
    fork,
    wait,
    hook_failed,
    hook_timeout,
    channel,
    send_console,
    chown,
    dup,
    close_range,
    copy,
    time_offsets,
    map_ids,
    fspick,
    send_listener,
    outside_root, ///< the working directory is not below the container's root
    not_procfs,   ///< what should be procfs is another file system
    over_procfs,  ///< a mount would cover a file of procfs
    wrong_device, ///< /dev/null of the host is not the null device
    other_device, ///< what the host has at a device's path is another device
    other_file,   ///< what the image has at a device's path is not that device
    no_devpts,    ///< what is at /dev/pts in the container is another file system
    not_found_in_path,
    exec,
};

struct Message {
    /// The last two are the child's on its way to exec: what its parent has to do for it, see await_exec.hpp.
    enum class Kind : std::uint32_t { prepared, created, failed, go, listener_sent, schedule };
    Kind kind = Kind::failed;
    Stage stage = Stage::session;
    Operation operation = Operation::none;
    std::int32_t error = 0;
    std::int32_t index = -1; ///< of the plan's list that the stage works on
};

/// Descriptors of the child that come from outside the plan; -1: none.
struct ChildDescriptors {
    int channel = -1;        ///< SEQPACKET to the parent, carries Message
    int listener = -1;       ///< `create`: the start socket; -1: wait for `go` on the channel
    int console_socket = -1; ///< takes the terminal's master
    int state_creating = -1; ///< memfd with the state for hooks, by status
    int state_created = -1;
};

/// The child of create and run. Returns only by _exit.
[[noreturn]] void run_container_child(const ContainerPlan& plan, const ChildDescriptors& descriptors) noexcept;

/// What an exec'd process joins: a pidfd of the container's first process and its namespaces as CLONE_NEW* bits.
struct ExecPlan {
    ProcessPlan process;
    int pidfd = -1;
    int namespaces = 0;
    bool become_root = false; ///< the user namespace was joined before the clone
};
[[noreturn]] void run_exec_child(const ExecPlan& plan, const ChildDescriptors& descriptors) noexcept;

/// "mounts[3]: mount proc on /proc: fsmount: Operation not permitted". `plan` is null for exec.
std::string describe(const Message& failure, const ContainerPlan* plan, const ProcessPlan& process);

/// Runs a hook with `state_fd` (a file, read from its start) as its input. 0, or an errno with `operation` set.
/// Used by the parent for its hooks as well: it neither allocates nor throws.
int run_hook(const PlannedHook& hook, int state_fd, Operation& operation, int& status) noexcept;

} // namespace engine::runtime
