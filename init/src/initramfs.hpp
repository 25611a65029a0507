// Stage 1: PID 1 in the initramfs.
#pragma once

namespace init {

/// Finds the root, prepares the deployment, and becomes /usr/bin/init of it. When that is not possible: says what is
/// missing, replays the journal of /boot (GRUB reads it without), and reboots, so that GRUB counts the try.
[[noreturn]] void run_stage1() noexcept;

} // namespace init
