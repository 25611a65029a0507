// What the parent, or `ocirun start`, does for a process that it has let go, until that has become the program: the
// child may have neither the privileges any more nor the time.
#pragma once
#include <optional>

#include "runtime/seccomp_listener.hpp"
#include "runtime/stages.hpp"

namespace engine::runtime {

/// Waits for exec: end of file, or the failure before it. `channel`: the child's channel, or the start socket. `offer`
/// is closed as soon as the agent has all. `process`: of one that is scheduled late. Throws base::Error when something
/// asked for cannot be done; the child is then to be killed.
std::optional<Message> await_exec(int channel, pid_t pid, const Process* process, std::optional<ListenerOffer> offer);

} // namespace engine::runtime
