// A child of ours that only a process inside another user namespace may make: one in between enters that, makes the
// child as ours (CLONE_PARENT) and ends. We cannot enter it ourselves, there is no way back out.
#pragma once
#include <functional>

#include "runtime/kernel.hpp"

namespace engine::runtime {

/// `enter` returns 0 or an errno value; `run` is the child's and does not return. Flags and cgroup of `arguments` are
/// used; its exit signal is SIGCHLD. The child's pid, as we see it; -1 and errno when clone3(2) fails. Throws
/// base::Error when `enter` fails.
pid_t clone_between(clone_args arguments, const std::function<int()>& enter, const std::function<void()>& run);

} // namespace engine::runtime
