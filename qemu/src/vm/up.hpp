// qemu/up, qemu/down and qemu/sh.
#pragma once
#include <string>

#include "qemu/images.hpp"

namespace qemu {

struct UpOptions {
    bool bios = false;
    bool keep = false; ///< go on with the disk of the last time
};

/// Boots the image, prints what to try and waits for Ctrl-C or `down`. Returns the exit code.
int up(const Places& places, const UpOptions& options);
/// Proves container, upgrade, rollback, fallback and fleet unit through the public interfaces. Returns the exit code.
int check(const Places& places, const UpOptions& options);
/// Ends a running `up`, waiting for it.
int down(const Places& places);
/// Runs a command in the machine of a running `up`.
int shell(const Places& places, const std::string& command);

} // namespace qemu
