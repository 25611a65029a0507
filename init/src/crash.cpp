#include "crash.hpp"

#include <fcntl.h>
#include <sys/reboot.h>
#include <unistd.h>

#include <csignal>

#include "clock.hpp"
#include "text.hpp"

namespace init {

namespace {

alignas(16) char alternate_stack[16 * 1024];

void print(std::string_view text) noexcept {
    for (const char* path : {"/dev/kmsg", "/dev/console"}) {
        const int fd = ::open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
            continue;
        [[maybe_unused]] const ssize_t ignored = ::write(fd, text.data(), text.size());
        ::close(fd);
    }
}

// Only async-signal-safe calls: open, write, _exit, fork by system call, sync, reboot.
void on_crash(int signal, siginfo_t* info, void*) {
    if (::getpid() != 1) // a child between fork and exec
        ::_exit(128 + signal);
    // Sent by another process: PID 1 is not to be ended by a signal. Its own abort(3) is sent, too, by itself.
    if (info->si_code <= 0 && info->si_pid != ::getpid())
        return;
    const Text<160> text("<2>init: CRASHED by signal ", signal, " at address ",
                         Hex{reinterpret_cast<std::uintptr_t>(info->si_addr)}, ", rebooting in 5 s\n");
    print(text.view());
    // sync may hang on the very disk that is the problem: in a process of its own.
    if (::_Fork() == 0) {
        ::sync();
        ::_exit(0);
    }
    pause_msec(5000);
    ::reboot(RB_AUTOBOOT);
    for (;;)
        ::pause();
}

} // namespace

void install_crash_handlers() noexcept {
    stack_t stack{};
    stack.ss_sp = alternate_stack;
    stack.ss_size = sizeof alternate_stack;
    ::sigaltstack(&stack, nullptr);
    struct sigaction action {};
    action.sa_sigaction = on_crash;
    action.sa_flags = static_cast<int>(SA_SIGINFO | SA_ONSTACK);
    ::sigfillset(&action.sa_mask);
    for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS})
        ::sigaction(signal, &action, nullptr);
}

} // namespace init
