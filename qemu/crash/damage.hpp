// A checker that cannot fail proves nothing: damage of every sort that it looks for is done to a good disk, and has to
// be found.
#pragma once
#include <string>
#include <vector>

#include "crash/checker.hpp"

namespace crash {

struct Damage {
    enum class Expected {
        no_boot, ///< GRUB must not be said to find something whole
        loss,    ///< it boots, and something is lost
        any,     ///< either
    };
    std::string name;
    Expected expected = Expected::any;
    std::vector<std::uint64_t> sectors; ///< get other content
};

/// What can be done to the disk as it is now, which boots, by this boot loader.
std::vector<Damage> possible_damage(const Disk& disk, const std::string& loader);

/// Does each damage and lets the checker judge; the names of those that it did not find. The disk is as before
/// afterwards.
std::vector<std::string> overlooked(Disk& disk, Checker& checker, std::uint64_t& tried);

} // namespace crash
