// A file that ocirun_faults and its children map: which points were passed, and when (CLOCK_MONOTONIC).
#pragma once
#include <sys/types.h>

#include <cstdint>

namespace ocirun_test {

struct FaultTrace {
    static constexpr unsigned most = 512;
    struct Entry {
        std::uint64_t nanoseconds;
        pid_t pid; ///< in its own pid namespace
        char point[28];
    };
    unsigned count;
    Entry entries[most];
};

} // namespace ocirun_test
