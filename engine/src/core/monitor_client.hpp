// engined's end of the monitor protocol (engine/monitor_protocol.hpp).
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"
#include "engine/engine.hpp"
#include "engine/monitor_protocol.hpp"

namespace engine {

/// Binds and listens on RUN_DIRECTORY/monitor.sock, for a monitor to be started with. Throws base::Error.
base::UniqueFd listen_for_monitor(const std::string& run_directory);

/// The payload of a state message. nullopt when it is too short.
struct ParsedState {
    monitor::State state{};
    std::string error;
    monitor::Phase phase() const noexcept { return static_cast<monitor::Phase>(state.phase); }
};
std::optional<ParsedState> parse_state(std::string_view payload);

/// A connection that has said hello. Messages may be sent by several threads, and received by one.
class MonitorConnection {
public:
    /// nullptr when nobody listens (the monitor has ended). Throws base::Error for anything else: a monitor that does
    /// not speak our protocol, or is silent for 10 s.
    static std::unique_ptr<MonitorConnection> connect(const std::string& run_directory, monitor::Role role,
                                                      std::uint32_t streams = 0);

    int fd() const noexcept { return fd_.get(); }
    pid_t monitor_pid() const noexcept { return monitor_pid_; }
    /// What the monitor told last: its hello says the first. A monitor whose container never came to be may end right
    /// after that hello, so whoever waits for a phase looks here before the next message.
    const ParsedState& state() const noexcept { return state_; }

    struct Message {
        monitor::MessageType type;
        std::uint16_t detail = 0;
        std::string payload;
    };
    enum class Received { message, nothing, closed };
    /// `wait`: until there is one, at most `timeout_ms` (-1: for ever).
    Received receive(Message& message, int timeout_ms);
    /// False when the monitor is gone.
    bool send(monitor::MessageType type, std::string_view payload = {}) noexcept;
    bool send_signal(int signal) noexcept;
    bool send_resize(unsigned rows, unsigned columns) noexcept;
    /// A blocked receive or send returns; from any thread.
    void shut_down() noexcept;

private:
    explicit MonitorConnection(base::UniqueFd fd) : fd_(std::move(fd)) {}
    base::UniqueFd fd_;
    pid_t monitor_pid_ = 0;
    ParsedState state_;
};

/// An Attachment that waits for its monitor when the container was not started yet.
class MonitorAttachment final : public Attachment {
public:
    explicit MonitorAttachment(const AttachRequest& request) : request_(request) {}

    /// Connects now. False when the monitor is gone (then the attachment has ended).
    bool connect(const std::string& run_directory);

    std::optional<Output> read() override;
    void write_stdin(std::string_view data) override;
    void close_stdin() override;
    void close() noexcept override;

private:
    MonitorConnection* connected();
    const AttachRequest request_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::unique_ptr<MonitorConnection> connection_; ///< set once, lives as long as the attachment
    bool closed_ = false;
};

/// For a caller that owns it, while a container may still have to connect it. `at_end` is called before its reader
/// learns that the output has ended, unless the caller has closed it.
std::unique_ptr<Attachment> share_attachment(std::shared_ptr<MonitorAttachment> attachment,
                                             std::function<void()> at_end = {});

} // namespace engine
