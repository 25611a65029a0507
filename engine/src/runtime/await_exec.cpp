#include "runtime/await_exec.hpp"

#include <sys/socket.h>

#include "runtime/parent_side.hpp"
#include "runtime/schedule.hpp"

namespace engine::runtime {

std::optional<Message> await_exec(int channel, pid_t pid, const Process* process, std::optional<ListenerOffer> offer) {
    if (offer && offer->size <= listener_first_part)
        offer.reset();
    for (;;) {
        Message message;
        ssize_t size = 0;
        do
            size = recv(channel, &message, sizeof message, 0);
        while (size < 0 && errno == EINTR);
        if (size != sizeof message)
            return std::nullopt;
        if (message.kind == Message::Kind::failed)
            return message;
        if (message.kind == Message::Kind::schedule && process != nullptr) {
            set_scheduling(pid, *process);
            send_go(channel);
        } else if (message.kind == Message::Kind::listener_sent && offer) {
            send_rest(*offer);
            offer.reset();
        }
    }
}

} // namespace engine::runtime
