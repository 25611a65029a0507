// "tmpcopyup": a tmpfs that starts with the content of the directory it covers.
#pragma once

namespace engine::runtime {

/// Copies everything below the directory `from` into the directory `to`: directories, files, symlinks, with mode and
/// owner. Devices, sockets and mounts of other file systems below are left out. Does not allocate. 0 or an errno.
int copy_up(int from, int to) noexcept;

} // namespace engine::runtime
