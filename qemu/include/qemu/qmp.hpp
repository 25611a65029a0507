// The QEMU Machine Protocol (qemu/docs/interop/qmp-spec): JSON lines over a stream socket.
#pragma once
#include <deque>
#include <optional>
#include <string>

#include "base/unique_fd.hpp"
#include "qemu/deadline.hpp"

namespace qemu {

class Qmp {
public:
    /// Takes a connected socket, reads QEMU's greeting and leaves the negotiation mode. Throws base::Error.
    explicit Qmp(base::UniqueFd socket);

    /// Runs a command with `arguments` (a JSON object, or empty) and returns its result as JSON text. A command that
    /// QEMU refuses is a base::Error with its reason.
    std::string execute(const std::string& command, const std::string& arguments = {});
    /// Waits for an event ("RESET", "SHUTDOWN"), also one that came before and was not asked for yet.
    /// Returns its data as JSON text; nullopt at the deadline.
    std::optional<std::string> wait_event(const std::string& name, const Deadline& deadline);
    /// Forgets the events that came up to now.
    void forget_events();

private:
    struct Event {
        std::string name;
        std::string data;
    };
    std::optional<std::string> read_line(const Deadline& deadline);

    base::UniqueFd socket_;
    std::string buffer_;
    std::deque<Event> events_;
};

} // namespace qemu
