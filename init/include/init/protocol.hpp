// What is spoken on /run/atoll/init.sock, and on descriptor 3 of engined.
//
// SOCK_SEQPACKET: one message is one packet of exactly sizeof(Message) bytes, in both directions. The caller sends a
// request; init answers each with one message that repeats the operation, except `engine_alive`, which has no answer.
// Both ends come from the same deployment, yet a message of another version is answered with EPROTONOSUPPORT.
// Trust: init takes messages from uid 0 of its own user namespace only (SO_PEERCRED); others are disconnected.
//
// Plain data without constructors that allocate: PID 1 includes this file.
#pragma once
#include <cstdint>
#include <type_traits>

namespace init {

inline constexpr const char* socket_path = "/run/atoll/init.sock";
/// The descriptor with a connection to init that engined is started with.
inline constexpr int engine_fd = 3;

inline constexpr std::uint32_t message_magic = 0x494e4954; // "INIT"
inline constexpr std::uint16_t message_version = 1;

enum class Operation : std::uint16_t {
    status = 1,        ///< payload of the answer: Status
    engine_alive = 2,  ///< engined, every 5 s, only on its own connection (descriptor 3); no answer
    revision_good = 3, ///< payload: the revision (atoll.rev) that was found good; EINVAL when another one is booted
    reboot = 4,        ///< payload: the reason, for the log. Answered before the shutdown starts. argument: see force
    poweroff = 5,      ///< as reboot
    halt = 6,          ///< as reboot; the kernel stops and the machine stays on
    trial_length = 8,  ///< argument: seconds since the kernel started until the revision on trial is given up. From the
                      ///< updater, which judges it; until then `atoll.trial` counts. EINVAL: not on trial, no such time
    boot_loader = 9, ///< argument: BootLoaderJob. Starts `updaterd --boot-loader JOB`, which has the block devices that
                     ///< no container has, and answers at once; EBUSY: one runs, or the machine is being shut down
    log_read = 7,    ///< argument: first sequence number wanted; payload of the answer: LogRecord. ENODATA: no more
};

/// `argument` of boot_loader: what is looked at or done is only what updaterd has under these names.
enum class BootLoaderJob : std::uint64_t { look = 0, update = 1, downgrade = 2 };

/// `argument` of reboot, poweroff and halt: no ordered stop, only sync(2).
inline constexpr std::uint64_t shutdown_force = 1;

struct Message {
    std::uint32_t magic;
    std::uint16_t version;
    std::uint16_t operation; ///< Operation
    std::int32_t error;      ///< in answers: 0, or an errno value
    std::uint32_t length;    ///< bytes of `payload` that are used; the rest is zero
    std::uint64_t argument;
    unsigned char payload[1000]; ///< text (UTF-8, no NUL), or one of the structs below
};
static_assert(sizeof(Message) == 1024 && std::is_trivial_v<Message>);

/// What engined does. `backoff`: it ended and is started again when its pause is over. `stopping`: SIGTERM was sent
/// (shutdown). `absent`: init runs a rescue shell, or is past the ordered stop.
enum class EngineState : std::uint32_t { absent = 0, starting = 1, running = 2, hung = 3, backoff = 4, stopping = 5 };

enum class ShutdownState : std::uint32_t {
    none = 0,
    engine = 1,   ///< waiting for engined to stop its containers
    finalize = 2, ///< updaterd --finalize runs
    kill = 3,     ///< the rest is being killed
    unmount = 4,
};

/// All text is NUL-terminated.
struct Status {
    std::uint64_t uptime_msec;         ///< since the kernel started (CLOCK_BOOTTIME)
    std::uint64_t engine_alive_msec;   ///< since the last engine_alive; UINT64_MAX: none from this engined
    std::uint64_t log_next;            ///< sequence number the next log record gets
    std::uint64_t log_console_dropped; ///< lines that did not fit the console
    std::int32_t engine_pid;           ///< 0: does not run
    EngineState engine_state;
    std::uint32_t engine_restarts;    ///< since boot
    std::uint32_t on_trial;           ///< 1: the booted revision is not known good
    std::uint32_t trial_seconds_left; ///< until init gives the revision up; 0 when not on trial
    std::uint32_t trial_seconds;      ///< the whole of it
    ShutdownState shutdown_state;
    std::uint32_t shutdown_operation; ///< Operation, 0: none
    std::uint32_t watchdog_seconds;   ///< 0: none armed
    std::uint32_t reserved;
    char revision[32];         ///< atoll.rev; empty: the kernel argument is missing
    char engine_last_end[128]; ///< how engined ended last, e.g. "exit code 1"; empty: never
    char shutdown_reason[256];
    char watchdog_identity[32];
    char init_version[32];
};
static_assert(sizeof(Status) <= sizeof(Message::payload) && std::is_trivial_v<Status>);

/// One line of init's log ring. Sequence numbers count from 0; when the one asked for was overwritten the answer holds
/// the oldest there is, so a gap in `sequence` is what was dropped.
struct LogRecord {
    std::uint64_t sequence;
    std::uint64_t monotonic_usec; ///< CLOCK_BOOTTIME, as in the kernel's log
    std::uint32_t level;          ///< syslog(3)
    std::uint32_t length;         ///< of `text`
    char text[960];               ///< "init: ..." or a line of engined; not terminated
};
static_assert(sizeof(LogRecord) <= sizeof(Message::payload) && std::is_trivial_v<LogRecord>);

/// A revision that init gave up leaves this file behind, for updaterd to turn into a receipt and to delete. Text:
/// "revision=<atoll.rev>\nreason=<one line>\nuptime=<seconds>\nlog:\n<last log lines>".
inline constexpr const char* last_failure_path = "/var/lib/atoll/init/last-failure";

/// The last lines of the kernel's log before it panicked, where the firmware kept them; for a receipt, too.
inline constexpr const char* last_panic_path = "/var/lib/atoll/init/last-panic";

} // namespace init
