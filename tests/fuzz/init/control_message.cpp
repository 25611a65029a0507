// Packets to init.sock through a real socket: nothing but a well-formed request of our version reaches the handler.
#include <sys/socket.h>

#include <cstdlib>

#include "control_socket.hpp"

namespace {

struct Handler final : init::RequestHandler {
    void handle(const init::Message& request, const init::Caller& caller, init::Message&) noexcept override {
        if (request.magic != init::message_magic || request.version != init::message_version ||
            request.length > sizeof request.payload || !caller.engine)
            std::abort();
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static init::ControlSocket socket;
    static base::UniqueFd peer = socket.connect_engine();
    static Handler handler;
    if (::send(peer.get(), data, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        peer = socket.connect_engine(); // an empty packet looks like the end of the connection
        return 0;
    }
    std::array<pollfd, init::ControlSocket::max_polled> entries;
    const std::size_t count = socket.prepare_poll(entries);
    if (::poll(entries.data(), static_cast<nfds_t>(count), 0) > 0)
        socket.serve(std::span(entries).first(count), handler);
    init::Message answer;
    while (::recv(peer.get(), &answer, sizeof answer, MSG_DONTWAIT) > 0) {
    }
    return 0;
}
