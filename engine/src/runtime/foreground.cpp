#include "runtime/foreground.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "runtime/kernel.hpp"

namespace engine::runtime {

namespace {

/// Our own terminal, raw while the container's is relayed to it.
class RawTerminal {
public:
    RawTerminal() {
        if (tcgetattr(0, &saved_) < 0)
            return;
        termios raw = saved_;
        cfmakeraw(&raw);
        raw_ = tcsetattr(0, TCSANOW, &raw) == 0;
    }
    ~RawTerminal() {
        if (raw_)
            tcsetattr(0, TCSANOW, &saved_);
    }
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;

private:
    termios saved_{};
    bool raw_ = false;
};

void copy_window_size(int terminal) {
    winsize size{};
    if (ioctl(0, TIOCGWINSZ, &size) == 0)
        ioctl(terminal, TIOCSWINSZ, &size);
}

/// Moves what there is; false at the end (EIO: the last user of the terminal has gone).
bool relay(int from, int to) {
    char buffer[8192];
    const ssize_t size = read(from, buffer, sizeof buffer);
    if (size < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (size <= 0)
        return false;
    try {
        base::write_all(to, {buffer, static_cast<std::size_t>(size)}, "terminal");
    } catch (const base::Error&) {
        return false; // the reader of our output has gone; the process goes on
    }
    return true;
}

void forward_signals(int signal_fd, const Launched& process) {
    signalfd_siginfo info{};
    if (read(signal_fd, &info, sizeof info) != sizeof info)
        return;
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGCHLD)
        return;
    if (signal == SIGWINCH && process.terminal)
        copy_window_size(process.terminal.get());
    else
        kernel::pidfd_send_signal(process.pidfd.get(), signal);
}

int reap(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            base::throw_errno("wait for the container's process");
    return base::ExitStatus::from_wait(status).shell_code();
}

} // namespace

SignalForwarder::SignalForwarder(bool active) : active_(active) {
    if (!active)
        return;
    sigset_t forwarded;
    sigfillset(&forwarded);
    for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPIPE, SIGTTIN, SIGTTOU, SIGURG})
        sigdelset(&forwarded, own);
    base::check(sigprocmask(SIG_BLOCK, &forwarded, &previous_), "block signals");
    fd_.reset(base::check(signalfd(-1, &forwarded, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd"));
}

SignalForwarder::~SignalForwarder() {
    if (active_)
        sigprocmask(SIG_SETMASK, &previous_, nullptr);
}

int attend(Launched& process, const SignalForwarder& signals) {
    std::optional<RawTerminal> raw;
    if (process.terminal) {
        raw.emplace();
        copy_window_size(process.terminal.get());
    }
    bool input = static_cast<bool>(process.terminal), ended = false;
    while (!ended || process.terminal) {
        pollfd waits[] = {
            {ended ? -1 : process.pidfd.get(), POLLIN, 0},
            {signals.fd(), POLLIN, 0},
            {process.terminal.get(), POLLIN, 0},
            {input ? 0 : -1, POLLIN, 0},
        };
        // After the end only what is left in the terminal is fetched: others may still hold it open.
        const int ready = poll(waits, std::size(waits), ended ? 0 : -1);
        if (ready < 0 && errno != EINTR)
            base::throw_errno("poll");
        if (ready < 0)
            continue;
        if (ended && waits[2].revents == 0)
            break;
        if (waits[1].revents != 0)
            forward_signals(signals.fd(), process);
        if (waits[3].revents != 0)
            input = relay(0, process.terminal.get());
        if (waits[2].revents != 0 && !relay(process.terminal.get(), 1)) {
            process.terminal.reset();
            input = false;
        }
        ended |= waits[0].revents != 0;
    }
    return reap(process.pid);
}

} // namespace engine::runtime
