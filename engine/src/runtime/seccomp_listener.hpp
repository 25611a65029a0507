// SCMP_ACT_NOTIFY: somebody outside, the seccomp agent, answers system calls of the container. It gets the filter's
// listener over linux.seccomp.listenerPath.
//
//   the parent or `ocirun start`                 the child
//     connects to listenerPath
//     `go` with the connection and the
//     document as descriptors  -------------->     starts a thread, loads the filter
//                                                  the thread, which is under no filter, sends listener and document,
//                                                  or the begin of it
//     the rest of the document <--------------     `listener_sent`, if there is more
//                                                  exec
//
// The connection is made by who sees the host's paths, and only when the program is about to run: a container may
// stay created for long, and the agent would wait for the document all the time.
#pragma once
#include <optional>

#include "base/unique_fd.hpp"
#include "runtime/config.hpp"
#include "runtime/state.hpp"

namespace engine::runtime {

struct ListenerOffer {
    base::UniqueFd connection;
    base::UniqueFd document; ///< memfd: the specification's "Container Process State"
    std::size_t size = 0;    ///< of it
};

/// Connects; nullopt when the profile does not notify. `pid` is the process under the filter. Throws base::Error.
std::optional<ListenerOffer> offer_listener(const std::optional<SeccompProfile>& profile, const ContainerState& state,
                                            Status status, pid_t pid);
/// send_go with the offer.
void send_go_with(int channel, const ListenerOffer& offer);
/// What the child leaves of the document to us: the agent may be slow to read it, and the child waits busily.
void send_rest(const ListenerOffer& offer);

/// So much of a document the child sends; it fits even the smallest buffer that a socket can have.
inline constexpr std::size_t listener_first_part = 1024;

} // namespace engine::runtime
