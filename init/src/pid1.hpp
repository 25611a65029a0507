// Stage 2: PID 1 of the running system.
#pragma once
#include <poll.h>

#include <array>

#include "base/unique_fd.hpp"
#include "clock.hpp"
#include "control_socket.hpp"
#include "kernel_arguments.hpp"
#include "line_reader.hpp"
#include "power_button.hpp"
#include "shutdown.hpp"
#include "spawn.hpp"
#include "supervisor.hpp"
#include "text.hpp"
#include "trial.hpp"
#include "watchdog.hpp"

namespace init {

/// One loop, one thread, all memory fixed. The order of an ordered stop:
///
///   none -> engine (SIGTERM to engined, 90 s) -> [orphans: engined did not stop its containers] -> finalize
///   (updaterd --finalize, 120 s) -> end_machine
class Pid1 final : private RequestHandler {
public:
    [[noreturn]] void run() noexcept;

private:
    enum class Phase { none, engine, orphans, finalize };

    void set_up() noexcept;
    void open_events() noexcept;
    [[noreturn]] void loop() noexcept;
    Msec next_deadline() const noexcept;
    void act_on_time(Msec now) noexcept;
    void read_signals() noexcept;
    void read_output() noexcept;
    void reap() noexcept;

    void drive_engine(Msec now) noexcept;
    void start_engine(Msec now) noexcept;
    void start_rescue() noexcept;
    void engine_ended(int status) noexcept;
    void judge(Msec now) noexcept;
    void give_up_revision(std::string_view reason) noexcept;

    void begin_shutdown(Operation operation, std::string_view reason) noexcept;
    void drive_shutdown(Msec now) noexcept;
    void stop_orphans(Msec now) noexcept;
    pid_t spawn_updaterd(const char* const argv[], SpawnError& error) noexcept;
    void start_finalize(Msec now) noexcept;

    void handle(const Message& request, const Caller& caller, Message& answer) noexcept override;
    int start_boot_loader_job(std::uint64_t job) noexcept;
    void request_shutdown(const Message& request, const Caller& caller, Message& answer) noexcept;
    void answer_status(Message& answer) const noexcept;

    KernelArguments arguments_;
    Supervisor supervisor_;
    Trial trial_;
    Watchdog watchdog_;
    PowerButton power_button_;
    ControlSocket control_;
    LineReader lines_;
    base::UniqueFd signals_;
    base::UniqueFd output_reader_; ///< what engined and updaterd --finalize print
    base::UniqueFd output_writer_;

    pid_t engine_ = 0;
    pid_t rescue_ = 0;
    pid_t finalize_ = 0;
    pid_t boot_loader_ = 0; ///< updaterd --boot-loader
    Text<128> engine_last_end_;
    bool engine_stopped_well_ = false;

    Phase phase_ = Phase::none;
    Msec phase_deadline_ = never;
    Operation shutdown_operation_{};
    Text<256> shutdown_reason_;
};

} // namespace init
