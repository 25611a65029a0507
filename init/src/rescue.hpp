// The shell of `atoll.rescue`.
#pragma once
#include "text.hpp"

namespace init {

inline constexpr const char* rescue_argv[] = {"/usr/bin/busybox", "sh", nullptr};
inline constexpr const char* rescue_environment[] = {"PATH=/usr/bin:/usr/sbin", "HOME=/root", "TERM=linux",
                                                     "PS1=rescue# ", nullptr};

/// The terminal behind /dev/console: the last of "tty0 ttyS0" is where it reads from. The console device itself
/// cannot be a controlling terminal, so job control and ctrl-c need the real one.
void find_console(TextBuffer& path) noexcept;

} // namespace init
