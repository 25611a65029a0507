// The kernel command line, as far as init cares.
#pragma once
#include <cstdint>
#include <string_view>

#include "text.hpp"

namespace init {

struct KernelArguments {
    Text<256> root;       ///< root=
    Text<32> root_type;   ///< rootfstype=, default ext4
    Text<512> deployment; ///< ostree=
    Text<32> revision;    ///< atoll.rev=
    std::uint64_t trial_seconds = 600;
    std::int64_t panic_seconds = 0; ///< panic=; negative: at once; 0: not given
    bool rescue = false;

    /// The last of repeated arguments counts, as in the kernel. "--" ends the kernel's arguments. Values in double
    /// quotes may hold blanks. An argument that is too long, or a number that is none, counts as not given.
    static KernelArguments parse(std::string_view line) noexcept;
    /// From /proc/cmdline.
    static KernelArguments read() noexcept;
};

} // namespace init
