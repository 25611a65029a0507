// The protocol between a container's monitor and its clients (engined, and through it attached docker clients).
//
// A SEQPACKET unix socket, monitor.sock in the container's run directory. One packet is one message: a Header, then
// `size` bytes of payload. Numbers are in host order: both ends are on one machine. The socket is bound by engined and
// handed to the monitor in descriptor 3, so that a connection can be made as soon as the monitor was started.
//
//   client                                   monitor
//     Hello {magic, version, role, streams} ->
//                                           <- Hello {magic, version, monitor's pid, State}      or closes: not us
//   role control:
//     start                                 -> runs `RUNTIME start`
//     signal {number}                       -> to the container's first process
//     resize {rows, columns}                ->
//                                           <- state {State, error text}   after each change, and in answer to get_state
//   role attach:
//     input {bytes}                         -> read only while there is room: the client is held back
//     input_close                           ->
//                                           <- output {bytes}, stream in the header's `detail`
//                                           <- end           everything was delivered, the process is gone
//
// Versions: the client says the newest it knows, the monitor answers with the smaller of that and its own, and both
// keep to it. A monitor runs as long as its container: engined must speak every version since the release before
// last. New fields go to the end of a payload; a reader takes what it knows and ignores the rest; an unknown message
// type is ignored.
//
// Phases of State:   creating -> created -> starting -> running -> exited
//                        \________________\______________________> failed (with an error text)
// `exited` and `failed` are final. The exit record (exit_record.hpp) is on disk before either is sent. The monitor ends
// when its attached clients have been sent everything, or 60 s later.
#pragma once
#include <cstdint>

namespace engine::monitor {

inline constexpr std::uint32_t protocol_magic = 0x4e4d5441; // "ATMN"
inline constexpr std::uint32_t protocol_version = 1;
inline constexpr std::uint32_t maximum_payload = 32 * 1024;
inline constexpr int socket_fd = 3; ///< the listening socket in the monitor

enum class MessageType : std::uint16_t {
    hello = 1,
    start = 2,
    signal = 3,
    resize = 4,
    get_state = 5,
    state = 6,
    input = 7,
    input_close = 8,
    output = 9,
    end = 10,
};

struct Header {
    std::uint16_t type;   ///< MessageType
    std::uint16_t detail; ///< output: 1 standard output, 2 standard error; otherwise 0
    std::uint32_t size;   ///< of the payload
};
static_assert(sizeof(Header) == 8);

enum class Role : std::uint32_t { control = 1, attach = 2 };

/// Bits of ClientHello::streams.
inline constexpr std::uint32_t stream_in = 1, stream_out = 2, stream_error = 4;

struct ClientHello {
    std::uint32_t magic;
    std::uint32_t version;
    std::uint32_t role;
    std::uint32_t streams;
};
static_assert(sizeof(ClientHello) == 16);

enum class Phase : std::uint32_t { creating = 1, created = 2, starting = 3, running = 4, exited = 5, failed = 6 };

struct State {
    std::uint32_t phase;
    std::int32_t pid;            ///< of the container's first process; 0 when there is none
    std::int32_t exit_code;      ///< valid when exited
    std::int32_t exit_signal;    ///< the signal that killed it, or 0
    std::int64_t started_nsec;   ///< since the epoch; 0: not yet
    std::int64_t finished_nsec;
}; // in a state message an error text follows
static_assert(sizeof(State) == 32);

struct MonitorHello {
    std::uint32_t magic;
    std::uint32_t version;
    std::int32_t monitor_pid;
    std::uint32_t reserved;
    State state;
};
static_assert(sizeof(MonitorHello) == 48);

struct Signal {
    std::int32_t number;
};

struct Resize {
    std::uint16_t rows;
    std::uint16_t columns;
};

} // namespace engine::monitor
