// What the stages of the child share.
#pragma once
#include "runtime/stages.hpp"

namespace engine::runtime {

struct Child {
    const ContainerPlan* container = nullptr; ///< null for exec
    const ExecPlan* exec = nullptr;           ///< null for a container's first process
    const ProcessPlan& process;
    ChildDescriptors descriptors;
    int procfs = -1;                       ///< O_PATH of the host's /proc
    int root = -1;                         ///< O_PATH of the container's root
    int terminal = -1;                     ///< the slave, when there is a terminal
    int started = -1;                      ///< connection of `start`: takes the failure after it
    Operation operation = Operation::none; ///< set before a step that may fail
    int index = -1;
    int listener_connection = -1; ///< to who gets the seccomp listener
    int listener_document = -1;   ///< memfd: what is sent with it
    char home[4096 + 8]{};        ///< "HOME=..." when it was looked up
    const char** environment = nullptr;

    /// Notes where we are, so that a failing step can be returned in one line.
    int fail(Operation what, int error) noexcept {
        operation = what;
        return error;
    }
    int fail_errno(Operation what) noexcept { return fail(what, errno); }
    /// Who waits for us: `start` when it has come, our parent before.
    int waiting() const noexcept { return started >= 0 ? started : descriptors.channel; }
    /// It is the thread that sends the listener, and is under no filter, that asks for our scheduling.
    bool scheduled_by_thread() const noexcept { return process.no_new_privileges && !process.seccomp_listener.empty(); }
};

/// Loads the filter; its listener is sent on. 0 or errno with child.operation set.
int load_filter_with_listener(Child& child) noexcept;

// Each returns 0 or an errno value, with child.operation and child.index set.
int start_session(Child& child) noexcept;
int await_parent(Child& child) noexcept;
int join_namespaces(Child& child) noexcept;
int prepare_root(Child& child) noexcept;
int mount_all(Child& child) noexcept;
int make_devices(Child& child) noexcept;
int open_console(Child& child) noexcept;
int await_runtime_hooks(Child& child) noexcept;
int run_container_hooks(Child& child) noexcept;
int write_sysctls(Child& child) noexcept;
int set_names(Child& child) noexcept;
int mask_paths(Child& child) noexcept;
int make_paths_readonly(Child& child) noexcept;
int make_mounts_readonly(Child& child) noexcept;
int make_working_directory(Child& child) noexcept;
int change_root(Child& child) noexcept;
int set_limits(Child& child) noexcept;
int set_security_label(Child& child) noexcept;
int find_program(Child& child) noexcept;
int report_created(Child& child) noexcept;
int find_environment(Child& child) noexcept;
int load_seccomp_early(Child& child) noexcept;
int set_identity(Child& child) noexcept;
int set_capabilities(Child& child) noexcept;
int load_seccomp_late(Child& child) noexcept;
int run_start_hooks(Child& child) noexcept;
int await_scheduling(Child& child) noexcept;
int close_descriptors(Child& child) noexcept;
int execute(Child& child) noexcept;

/// A detached procfs instance, certainly the real one. -1 and errno.
int private_procfs() noexcept;

} // namespace engine::runtime
