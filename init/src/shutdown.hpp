// The end of the machine, after engined has stopped. From here on nothing waits for anybody without a limit.
#pragma once
#include "init/protocol.hpp"
#include "watchdog.hpp"

namespace init {

/// SIGTERM to every process but PID 1, `grace` to end, then SIGKILL. Reaps all of them. False: some are left after
/// all (in the kernel's hands).
bool kill_all(Msec grace, Watchdog& watchdog) noexcept;

/// Kills what is left, thaws /boot, syncs, unmounts, makes the root read-only, and calls reboot(2). `force`: only
/// syncs before.
[[noreturn]] void end_machine(Operation operation, bool force, Watchdog& watchdog) noexcept;

const char* operation_name(Operation operation) noexcept;

} // namespace init
