// What PID 1 does when it is itself the broken program.
#pragma once

namespace init {

/// SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS: say so on the kernel log and the console, then reboot. (Without
/// a handler the kernel panics, which also ends in a reboot, without a word of ours and without the disks synced.)
/// Children get the defaults back at exec.
void install_crash_handlers() noexcept;

} // namespace init
