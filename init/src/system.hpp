// The kernel's side of a running system: its file systems, settings and limits.
#pragma once
#include "kernel_arguments.hpp"

namespace init {

/// "0.1.0"
const char* version() noexcept;

/// Whether this PID 1 has the machine for itself. In a pid namespace (tests, a container) it must not touch what
/// belongs to the host: modules, settings, the watchdog, the clock, the power.
bool owns_machine() noexcept;

/// /proc, /sys, /dev and /run, those that are not mounted yet.
void mount_kernel_file_systems() noexcept;

/// Before anything can go wrong: a PID 1 that dies is a panic, and a panic must be a reboot. Also lets user space
/// write the kernel log without a limit. Handlers for crashes are installed.
void protect_boot() noexcept;

/// Stage 2, all that happens once before engined starts. Failures are logged: a machine that can be reached with
/// half of this is worth more than one that cannot, and the trial decides whether the revision is kept.
void set_up_system() noexcept;

} // namespace init
