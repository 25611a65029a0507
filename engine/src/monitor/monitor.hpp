// The monitor's loop: one thread, one poll(2). See engine/monitor_protocol.hpp for its phases and messages.
#pragma once
#include <poll.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "engine/monitor_protocol.hpp"
#include "monitor/child_stdio.hpp"
#include "monitor/client.hpp"
#include "monitor/log_file.hpp"
#include "monitor/options.hpp"

namespace engine::monitor {

class Monitor {
public:
    explicit Monitor(Options options);
    /// Until the container is gone and its clients served. Returns the exit code: 0, or 1 when it could not set up.
    int run();

private:
    enum class Call { none, create, start };

    bool is(Phase phase) const noexcept { return state_.phase == static_cast<std::uint32_t>(phase); }
    void set_phase(Phase phase) noexcept { state_.phase = static_cast<std::uint32_t>(phase); }

    bool set_up();
    bool launch(Call call, std::vector<std::string> argv, bool owns_streams);
    std::vector<std::string> runtime_command(const char* command) const;
    void create_container();
    void start_container();

    void turn();
    void reap();
    void runtime_ended(int wait_status);
    void take_pid();
    void container_ended();
    void fail(const std::string& error);
    void finish_output();

    void accept_client();
    void take_console();
    void read_client(Client& client);
    void handle(Client& client, const Header& header, std::string_view payload);
    void client_gone(Client& client);
    void send_hello(Client& client);
    void broadcast_state();

    bool forward_output(base::UniqueFd& fd, LogFile::Stream stream, bool until_empty);
    void write_input();
    void input_has_ended() noexcept;
    void close_input() noexcept;
    bool output_blocked() const noexcept;
    bool done() const noexcept;

    Options options_;
    LogFile log_;
    base::UniqueFd listener_;
    base::UniqueFd run_directory_;
    base::UniqueFd signals_;
    base::UniqueFd console_listener_;
    Streams streams_;
    base::UniqueFd call_errors_; ///< what the runtime says while it starts a container
    std::vector<Client> clients_;
    std::vector<pollfd> polls_;
    std::string input_; ///< for the container, not yet taken
    bool input_ended_ = false;
    State state_{};
    std::string error_;
    Call call_ = Call::none;
    pid_t runtime_pid_ = 0;
    bool container_reaped_ = false;
    int container_status_ = 0;
    bool start_called_ = false;
    bool final_ = false;
    bool greeted_control_ = false; ///< engined knows of us
    std::int64_t final_deadline_ = 0; ///< CLOCK_MONOTONIC, ms
};

} // namespace engine::monitor
