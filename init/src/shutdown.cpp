#include "shutdown.hpp"

#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "files.hpp"
#include "log.hpp"
#include "mounts.hpp"
#include "system.hpp"

namespace init {

namespace {

constexpr Msec term_grace = 5'000;
constexpr Msec kill_grace = 5'000;
constexpr Msec sync_limit = 120'000;
constexpr Msec poll_pause = 20;

/// Waits until there is no child left. Every process is one of ours sooner or later: orphans are reparented.
bool reap_all(Msec limit, Watchdog& watchdog) noexcept {
    const Msec deadline = now_msec() + limit;
    for (;;) {
        const pid_t pid = ::waitpid(-1, nullptr, WNOHANG);
        if (pid < 0 && errno == ECHILD)
            return true;
        if (pid > 0)
            continue;
        if (now_msec() >= deadline)
            return false;
        watchdog.feed(now_msec());
        pause_msec(poll_pause);
    }
}

/// sync(2) in a child: a dead disk must not keep the machine from its reboot.
void sync_disks(Watchdog& watchdog) noexcept {
    const pid_t pid = ::_Fork();
    if (pid == 0) {
        ::sync();
        ::_exit(0);
    }
    if (pid < 0) {
        ::sync();
        return;
    }
    const Msec deadline = now_msec() + sync_limit;
    while (now_msec() < deadline) {
        const pid_t ended = ::waitpid(pid, nullptr, WNOHANG);
        if (ended == pid || (ended < 0 && errno == ECHILD))
            return;
        watchdog.feed(now_msec());
        pause_msec(poll_pause);
    }
    log_error("sync took more than ", sync_limit / 1000, " s, data may be lost");
}

int reboot_command(Operation operation) noexcept {
    switch (operation) {
    case Operation::poweroff:
        return RB_POWER_OFF;
    case Operation::halt:
        return static_cast<int>(RB_HALT_SYSTEM);
    default:
        return RB_AUTOBOOT;
    }
}

} // namespace

const char* operation_name(Operation operation) noexcept {
    switch (operation) {
    case Operation::reboot:
        return "reboot";
    case Operation::poweroff:
        return "poweroff";
    case Operation::halt:
        return "halt";
    default:
        return "none";
    }
}

bool kill_all(Msec grace, Watchdog& watchdog) noexcept {
    if (::kill(-1, SIGTERM) != 0 && errno == ESRCH)
        return reap_all(kill_grace, watchdog); // nothing but zombies, if that
    ::kill(-1, SIGCONT);                       // the stopped ones too
    if (reap_all(grace, watchdog))
        return true;
    ::kill(-1, SIGKILL);
    return reap_all(kill_grace, watchdog);
}

void end_machine(Operation operation, bool force, Watchdog& watchdog) noexcept {
    watchdog.extend();
    if (!force) {
        if (!kill_all(term_grace, watchdog))
            log_error("some processes do not end, going on without them");
        // Before the sync, which waits for a frozen file system for ever.
        if (owns_machine())
            thaw("/boot");
    }
    sync_disks(watchdog);
    if (!force && owns_machine()) {
        unmount_all();
        sync_disks(watchdog);
    }
    log_notice(operation_name(operation), " now");
    log().console().flush();
    if (operation == Operation::halt)
        watchdog.disarm();
    ::reboot(reboot_command(operation));
    const int error = errno;
    log_error("reboot: ", Errno{error});
    // Once more the hard way; what then still runs is the watchdog's. Never from a namespace: it would hit the host.
    if (owns_machine() && operation == Operation::reboot)
        write_text("/proc/sysrq-trigger", "b");
    for (;;)
        ::pause();
}

} // namespace init
