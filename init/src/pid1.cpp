#include "pid1.hpp"

#include <fcntl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "boot_count.hpp"
#include "cgroups.hpp"
#include "files.hpp"
#include "log.hpp"
#include "mounts.hpp"
#include "rescue.hpp"
#include "system.hpp"

namespace init {

namespace {

constexpr const char* child_environment[] = {"PATH=/usr/bin:/usr/sbin", "HOME=/root", "LANG=C.UTF-8", nullptr};
constexpr const char* engine_argv[] = {"/usr/bin/engined", nullptr};
constexpr int engine_oom_score = -900;

/// How a process ended: "exit code 1", "killed by signal 9".
void describe_end(int status, TextBuffer& text) noexcept {
    if (WIFSIGNALED(status))
        text.put("killed by signal ", WTERMSIG(status));
    else
        text.put("exit code ", WEXITSTATUS(status));
}

} // namespace

void Pid1::run() noexcept {
    mount_kernel_file_systems();
    log().open();
    protect_boot();
    log_info("stage 2, version ", version());
    open_events();
    set_up();
    loop();
}

/// Signals, the pipe for our children's output, and descriptors 0 to 2, which must never be something else.
void Pid1::open_events() noexcept {
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int number = 0; null >= 0 && number < 3; ++number)
        ::dup2(null, number);
    if (null > 2)
        ::close(null);

    sigset_t all;
    ::sigfillset(&all);
    for (const int crash : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS})
        ::sigdelset(&all, crash);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    signals_.reset(::signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_)
        log_error("signalfd: ", Errno{errno}, ", looking for ended processes once a second");

    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        log_error("pipe for the output of engined: ", Errno{errno});
        return;
    }
    output_reader_.reset(ends[0]);
    output_writer_.reset(ends[1]);
    // The reader only: a child that writes much waits for us, as it should.
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
}

void Pid1::set_up() noexcept {
    arguments_ = KernelArguments::read();
    set_up_system();
    if (owns_machine()) {
        if (::reboot(RB_DISABLE_CAD) != 0) // ctrl-alt-del is a SIGINT for us from now on
            log_warning("take over ctrl-alt-del: ", Errno{errno});
        watchdog_.arm();
        power_button_.open();
    }
    if (const int error = control_.listen(socket_path); error != 0)
        log_error("listen on ", socket_path, ": ", Errno{error});
    trial_.begin(arguments_);
    if (arguments_.rescue) {
        trial_.end();
        start_rescue();
    } else {
        supervisor_.start(now_msec());
    }
}

Msec Pid1::next_deadline() const noexcept {
    Msec deadline = std::min({supervisor_.deadline(), watchdog_.deadline(), phase_deadline_});
    if (phase_ == Phase::none)
        deadline = std::min(deadline, trial_.deadline());
    return deadline;
}

void Pid1::loop() noexcept {
    constexpr std::size_t others = 3 + PowerButton::max_buttons;
    std::array<pollfd, ControlSocket::max_polled + others> entries;
    Console& console = log().console();
    for (;;) {
        act_on_time(now_msec());
        const std::size_t connections = control_.prepare_poll(std::span(entries).first(ControlSocket::max_polled));
        std::size_t count = connections;
        entries[count++] = {signals_.get(), POLLIN, 0};
        entries[count++] = {output_reader_.get(), POLLIN, 0};
        entries[count++] = {console.pending() ? console.fd() : -1, POLLOUT, 0};
        count += power_button_.prepare_poll(std::span(entries).subspan(count));

        const Msec now = now_msec();
        const Msec longest = signals_ ? 60'000 : 1'000;
        const Msec deadline = next_deadline();
        const int timeout = deadline <= now ? 0 : static_cast<int>(std::min(longest, deadline - now));
        if (::poll(entries.data(), static_cast<nfds_t>(count), timeout) < 0) {
            pause_msec(100); // ENOMEM; the entries hold nothing
            reap();
            continue;
        }
        read_signals();
        if (power_button_.pressed())
            begin_shutdown(Operation::poweroff, "power button");
        // The output before the end of who wrote it: the last words explain the end.
        read_output();
        reap();
        control_.serve(std::span(entries).first(connections), *this);
        console.flush();
    }
}

void Pid1::act_on_time(Msec now) noexcept {
    watchdog_.feed(now);
    drive_engine(now);
    if (phase_ == Phase::none)
        judge(now);
    else if (now >= phase_deadline_)
        drive_shutdown(now);
}

void Pid1::read_signals() noexcept {
    signalfd_siginfo info;
    while (signals_ && ::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        // SIGINT is ctrl-alt-del; SIGTERM, SIGUSR1 and SIGUSR2 mean what they mean to other small inits.
        switch (static_cast<int>(info.ssi_signo)) {
        case SIGINT:
            begin_shutdown(Operation::reboot, "ctrl-alt-del");
            break;
        case SIGTERM:
            begin_shutdown(Operation::reboot, "SIGTERM");
            break;
        case SIGPWR:
            begin_shutdown(Operation::poweroff, "SIGPWR");
            break;
        case SIGUSR2:
            begin_shutdown(Operation::poweroff, "SIGUSR2");
            break;
        case SIGUSR1:
            begin_shutdown(Operation::halt, "SIGUSR1");
            break;
        default: // SIGCHLD: reap() looks every turn
            break;
        }
    }
}

void Pid1::read_output() noexcept {
    char bytes[4096];
    // Bounded: whoever floods us waits, the loop goes on.
    for (int turn = 0; turn < 16 && output_reader_; ++turn) {
        const ssize_t size = ::read(output_reader_.get(), bytes, sizeof bytes);
        if (size <= 0)
            return;
        lines_.feed(std::string_view(bytes, static_cast<std::size_t>(size)), [](std::string_view line) {
            Text<LogRing::max_text> text;
            const Level level = sanitize_line(line, text);
            log().forward(level, text.view());
        });
    }
}

void Pid1::reap() noexcept {
    int status = 0;
    for (;;) {
        const pid_t pid = ::waitpid(-1, &status, WNOHANG);
        if (pid <= 0)
            return;
        if (pid == engine_) {
            engine_ended(status);
        } else if (pid == finalize_) {
            finalize_ = 0;
            read_output();
            Text<64> end;
            describe_end(status, end);
            log_at(status == 0 ? Level::info : Level::error, "updaterd --finalize: ", end.view());
            end_machine(shutdown_operation_, false, watchdog_);
        } else if (pid == boot_loader_) {
            boot_loader_ = 0;
            if (status != 0) {
                Text<64> end;
                describe_end(status, end);
                log_error("updaterd --boot-loader: ", end.view());
            }
        } else if (pid == rescue_) {
            rescue_ = 0;
            begin_shutdown(Operation::reboot, "the rescue shell ended");
        }
        // Anybody else is an orphan whose end nobody asked for.
    }
}

void Pid1::drive_engine(Msec now) noexcept {
    switch (supervisor_.next(now)) {
    case Supervisor::Action::none:
        break;
    case Supervisor::Action::start:
        start_engine(now);
        break;
    case Supervisor::Action::terminate:
        log_info("stopping engined and its containers");
        ::kill(engine_, SIGTERM);
        break;
    case Supervisor::Action::kill:
        log_error(phase_ == Phase::none ? "engined says nothing, killing it" : "engined does not stop, killing it");
        ::kill(engine_, SIGKILL);
        break;
    }
}

void Pid1::start_engine(Msec now) noexcept {
    const base::UniqueFd channel = control_.connect_engine();
    ChildPlan plan{};
    plan.argv = engine_argv;
    plan.environment = child_environment;
    plan.cgroup = engine_group;
    plan.output = output_writer_.get();
    plan.channel = channel.get();
    plan.oom_score_adjust = engine_oom_score;
    SpawnError error{};
    const pid_t pid = spawn(plan, error);
    if (pid > 0) {
        engine_ = pid;
        supervisor_.started(now);
        log_info("engined started, pid=", pid);
        return;
    }
    engine_last_end_.clear();
    engine_last_end_.put("could not be started: ", stage_texts[static_cast<std::size_t>(error.stage)], ": ",
                         Errno{error.error});
    supervisor_.ended(now);
    log_error("engined ", engine_last_end_.view());
}

void Pid1::engine_ended(int status) noexcept {
    engine_ = 0;
    engine_last_end_.clear();
    describe_end(status, engine_last_end_);
    engine_stopped_well_ = phase_ == Phase::engine && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    read_output();
    supervisor_.ended(now_msec());
    log_at(engine_stopped_well_ ? Level::info : Level::error, "engined ended: ", engine_last_end_.view());
    if (phase_ == Phase::engine)
        drive_shutdown(now_msec());
}

/// A revision on trial ends when its time is over, or as soon as it is plain that engined will never judge it.
void Pid1::judge(Msec now) noexcept {
    if (!trial_.on_trial())
        return;
    if (supervisor_.start_limit_hit()) {
        const Text<256> reason("engined did not stay up: ", engine_last_end_.view(), ", ", supervisor_.restarts(),
                               " restarts");
        give_up_revision(reason.view());
    } else if (now >= trial_.deadline()) {
        const Text<256> reason("not marked good within ", trial_.length() / 1000, " s");
        give_up_revision(reason.view());
    }
}

void Pid1::give_up_revision(std::string_view reason) noexcept {
    const Text<256> whole("revision ", trial_.revision(), " failed its trial: ", reason);
    // A /boot that a killed updater left frozen would hold us here.
    if (owns_machine())
        thaw("/boot");
    change_grub_environment(grubenv_path, end_tries, trial_.revision());
    write_failure_note(trial_.revision(), reason, log().ring());
    begin_shutdown(Operation::reboot, whole.view());
}

void Pid1::start_rescue() noexcept {
    log_notice("atoll.rescue: a shell on the console instead of engined; the machine reboots when it ends");
    Text<64> terminal;
    find_console(terminal);
    ChildPlan plan{};
    plan.argv = rescue_argv;
    plan.environment = rescue_environment;
    plan.terminal = terminal.c_str();
    SpawnError error{};
    rescue_ = spawn(plan, error);
    if (rescue_ > 0)
        return;
    rescue_ = 0;
    log_error("rescue shell ", rescue_argv[0], ": ", stage_texts[static_cast<std::size_t>(error.stage)], ": ",
              Errno{error.error});
    begin_shutdown(Operation::reboot, "there is no rescue shell");
}

void Pid1::begin_shutdown(Operation operation, std::string_view reason) noexcept {
    if (phase_ != Phase::none)
        return;
    log_notice(operation_name(operation), ": ", reason);
    shutdown_operation_ = operation;
    shutdown_reason_.assign(reason);
    phase_ = Phase::engine;
    engine_stopped_well_ = false;
    supervisor_.stop(now_msec());
    // With no engined to wait for the next step is due at once; else its end is what we wait for.
    phase_deadline_ = engine_ == 0 ? 0 : never;
}

void Pid1::drive_shutdown(Msec now) noexcept {
    switch (phase_) {
    case Phase::none:
        break;
    case Phase::engine:
        if (engine_stopped_well_)
            start_finalize(now);
        else
            stop_orphans(now);
        break;
    case Phase::orphans:
        start_finalize(now);
        break;
    case Phase::finalize:
        log_error("updaterd --finalize does not end, killing it");
        ::kill(finalize_, SIGKILL);
        phase_deadline_ = now + 10'000;
        break;
    }
}

/// Nobody stopped the containers. They get their SIGTERM here, so that none of them still writes when the
/// deployment's /etc is merged.
void Pid1::stop_orphans(Msec now) noexcept {
    constexpr Msec grace = 10'000;
    phase_ = Phase::orphans;
    phase_deadline_ = now;
    log_notice("stopping the containers that engined left");
    if (!kill_all(grace, watchdog_))
        log_error("some processes do not end");
}

/// updaterd's work outside its container, in engined's group and with its output in our log. -1: see `error`.
pid_t Pid1::spawn_updaterd(const char* const argv[], SpawnError& error) noexcept {
    ChildPlan plan{};
    plan.argv = argv;
    plan.environment = child_environment;
    plan.cgroup = engine_group;
    plan.output = output_writer_.get();
    return spawn(plan, error);
}

void Pid1::start_finalize(Msec now) noexcept {
    constexpr Msec limit = 120'000;
    constexpr const char* argv[] = {"/usr/bin/updaterd", "--finalize", nullptr};
    phase_ = Phase::finalize;
    // An updaterd that was killed in the middle left it frozen, and the finalise step writes there.
    if (owns_machine())
        thaw("/boot");
    if (!is_executable(argv[0]))
        end_machine(shutdown_operation_, false, watchdog_);
    SpawnError error{};
    const pid_t pid = spawn_updaterd(argv, error);
    if (pid < 0) {
        log_error("updaterd --finalize: ", stage_texts[static_cast<std::size_t>(error.stage)], ": ",
                  Errno{error.error});
        end_machine(shutdown_operation_, false, watchdog_);
    }
    finalize_ = pid;
    phase_deadline_ = now + limit;
}

/// The host's half of `updatectl bootloader`. Whoever may call here is root and could do as much with the disk.
int Pid1::start_boot_loader_job(std::uint64_t job) noexcept {
    static constexpr const char* names[] = {"look", "update", "downgrade"};
    if (job >= std::size(names))
        return EINVAL;
    if (boot_loader_ != 0 || phase_ != Phase::none)
        return EBUSY;
    const char* const argv[] = {"/usr/bin/updaterd", "--boot-loader", names[job], nullptr};
    SpawnError error{};
    const pid_t pid = spawn_updaterd(argv, error);
    if (pid < 0)
        return error.error;
    boot_loader_ = pid;
    return 0;
}

} // namespace init
