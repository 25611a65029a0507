// The callers' side of init's socket, for engined, updaterd and initctl.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"
#include "init/protocol.hpp"

namespace init {

/// One line of init's log.
struct LogLine {
    std::uint64_t sequence = 0;
    std::uint64_t monotonic_usec = 0;
    int level = 6;
    std::string text;
};

/// A connection to init. Not for several threads at once. Every failure throws base::Error: of the socket, or what
/// init answered ("init reboot: Device or resource busy"). An answer that takes more than 10 s is ETIMEDOUT; connect
/// again after it.
class Client {
public:
    /// Connects to init.sock.
    static Client connect(const std::string& path = socket_path);
    /// The connection engined is started with (engine_fd); makes it close-on-exec. Throws when it is not a socket.
    static Client inherited(int fd = engine_fd);
    /// Takes over a connected SEQPACKET socket.
    explicit Client(base::UniqueFd fd) noexcept : fd_(std::move(fd)) {}

    Status status();
    /// Never blocks and never throws: false when init is not there or the message did not fit. To be called from the
    /// thread whose hanging matters.
    bool engine_alive() noexcept;
    /// `revision` is the atoll.rev found good. Also right when the revision is not on trial (nothing happens).
    void revision_good(std::string_view revision);
    /// The revision on trial is judged by the caller and given up by init only `seconds` after the kernel started.
    void trial_length(std::uint64_t seconds);
    /// Returns when the job runs; updaterd leaves its answer in a file.
    void boot_loader(BootLoaderJob job);
    /// Returns when init has taken the request; the ordered stop follows. A second request for the same is accepted
    /// silently; for another operation it throws EBUSY. `reason` is logged, and cut at 255 bytes.
    void reboot(std::string_view reason, bool force = false);
    void poweroff(std::string_view reason, bool force = false);
    void halt(std::string_view reason, bool force = false);
    /// The first line at or after `sequence`; nullopt: there is none (yet).
    std::optional<LogLine> log_line(std::uint64_t sequence);

    int fd() const noexcept { return fd_.get(); }

private:
    Message call(Operation operation, std::uint64_t argument, std::string_view text);
    base::UniqueFd fd_;
};

/// atoll.rev of the running kernel, from /proc/cmdline; empty when it has none. Throws base::Error.
std::string booted_revision();

} // namespace init
