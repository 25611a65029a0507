#include "runtime/seccomp_listener.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>

#include <boost/json.hpp>

#include "base/error.hpp"
#include "base/files.hpp"
#include "runtime/kernel.hpp"
#include "runtime/launch.hpp"
#include "runtime/parent_side.hpp"
#include "runtime/stages.hpp"

namespace engine::runtime {

namespace {

constexpr timeval send_timeout{10, 0}; // to an agent that does not read

std::string process_state(const SeccompProfile& profile, const ContainerState& state, Status status, pid_t pid) {
    boost::json::object document{
        {"ociVersion", state.oci_version},
        {"fds", {"seccompFd"}},
        {"pid", pid},
        {"metadata", profile.listener_metadata},
        {"state", boost::json::parse(state_document(state, status, false))},
    };
    return boost::json::serialize(document);
}

/// An agent that does not read is not to hold up whoever starts a container, so the whole document has to fit.
void make_room(int connection, std::size_t size) {
    const int wanted = static_cast<int>(std::min<std::size_t>(2 * size + 64 * 1024, 64 * 1024 * 1024));
    int has = 0;
    socklen_t length = sizeof has;
    if (getsockopt(connection, SOL_SOCKET, SO_SNDBUF, &has, &length) == 0 && has >= wanted)
        return;
    // A user gets what the host allows; for the rest the agent has to read while we wait, or the time runs out.
    if (setsockopt(connection, SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof wanted) < 0)
        base::check(setsockopt(connection, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted), "setsockopt");
}

} // namespace

std::optional<ListenerOffer> offer_listener(const std::optional<SeccompProfile>& profile, const ContainerState& state,
                                            Status status, pid_t pid) {
    if (!profile || !profile->notifies)
        return std::nullopt;
    ListenerOffer offer;
    try {
        offer.connection = connect_to(profile->listener_path);
    } catch (const base::Error&) {
        std::throw_with_nested(base::Error("linux.seccomp.listenerPath"));
    }
    base::check(setsockopt(offer.connection.get(), SOL_SOCKET, SO_SNDTIMEO, &send_timeout, sizeof send_timeout),
                "setsockopt");
    const std::string document = process_state(*profile, state, status, pid);
    offer.size = document.size();
    make_room(offer.connection.get(), offer.size);
    offer.document = memory_file("seccomp");
    base::write_all(offer.document.get(), document, "seccomp");
    return offer;
}

void send_go_with(int channel, const ListenerOffer& offer) {
    Message go;
    go.kind = Message::Kind::go;
    const int descriptors[] = {offer.connection.get(), offer.document.get()};
    if (kernel::send_with_descriptors(channel, &go, sizeof go, descriptors, 2) < 0 && errno != EPIPE)
        base::throw_errno("send the seccomp agent's connection to the container's process");
}

void send_rest(const ListenerOffer& offer) {
    std::string rest(offer.size - listener_first_part, '\0');
    base::check(pread(offer.document.get(), rest.data(), rest.size(), listener_first_part), "read the document");
    for (std::string_view left = rest; !left.empty();) {
        const ssize_t sent = send(offer.connection.get(), left.data(), left.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            errno = ETIMEDOUT;
        if (sent < 0)
            base::throw_errno("linux.seccomp.listenerPath: send the agent what it has to know of the process");
        left.remove_prefix(static_cast<std::size_t>(sent));
    }
}

} // namespace engine::runtime
