// Starting a program from PID 1.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <iterator>

namespace init {

/// Everything the child needs, prepared before the clone. Strings and arrays outlive the call.
struct ChildPlan {
    const char* const* argv; ///< argv[0] is the program's path
    const char* const* environment;
    const char* cgroup = nullptr; ///< directory of the cgroup to start in; nullptr: PID 1's
    const char* terminal =
        nullptr;      ///< becomes 0, 1 and 2 and the controlling terminal; nullptr: /dev/null and `output`
    int output = -1;  ///< becomes 1 and 2
    int channel = -1; ///< becomes 3; -1: none
    int oom_score_adjust = 0;
};

/// Where a start can fail. `clone` is in the parent, the others in the child, in this order.
enum class Stage : std::uint8_t { clone, signals, session, input, output, channel, oom_score, exec };

inline constexpr const char* stage_texts[] = {
    "make a process",          "reset its signals", "make its session",  "open its standard input",
    "set its standard output", "pass its channel",  "set its OOM score", "execute it"};
static_assert(std::size(stage_texts) == static_cast<std::size_t>(Stage::exec) + 1);

struct SpawnError {
    Stage stage;
    int error; ///< errno; 0: the program runs
};

/// Returns when the program runs (its pid) or did not start (-1, the child is reaped). No allocation.
pid_t spawn(const ChildPlan& plan, SpawnError& error) noexcept;

} // namespace init
