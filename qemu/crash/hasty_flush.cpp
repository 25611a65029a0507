// Linked into an updater-worker in place of updater/src/flush_boot.cpp: an updater that is wrong, to see whether the
// replay notices. libostree then renames `loader` and the old entries' kernels go while GRUB may still see those
// entries.
#include "updater/sysroot.hpp"

namespace updater {

void flush_boot(const std::string& /*directory*/, const std::string& /*parent*/) {}
void thaw_boot(const std::string& /*directory*/) noexcept {}

} // namespace updater
