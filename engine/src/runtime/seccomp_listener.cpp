#include "runtime/seccomp_listener.hpp"

#include <sys/socket.h>
#include <sys/time.h>

#include <cstring>

#include <boost/json.hpp>

#include "base/error.hpp"
#include "base/files.hpp"
#include "runtime/launch.hpp"
#include "runtime/parent_side.hpp"
#include "runtime/stages.hpp"

namespace engine::runtime {

namespace {

constexpr timeval send_timeout{10, 0}; // of the child, to an agent that does not read

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
    offer.document = memory_file("seccomp");
    base::write_all(offer.document.get(), process_state(*profile, state, status, pid), "seccomp");
    return offer;
}

void send_go_with(int channel, const ListenerOffer& offer) {
    Message go;
    go.kind = Message::Kind::go;
    iovec data{&go, sizeof go};
    const int descriptors[2] = {offer.connection.get(), offer.document.get()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptors)]{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptors);
    std::memcpy(CMSG_DATA(header), descriptors, sizeof descriptors);
    if (sendmsg(channel, &message, MSG_NOSIGNAL) < 0 && errno != EPIPE)
        base::throw_errno("send the seccomp agent's connection to the container's process");
}

} // namespace engine::runtime
