// A disk that lies: the recording replayed as if flushes of one job had not been obeyed. What the updater orders by
// them then falls apart, and a checker that sees nothing of it would see nothing of a wrong updater either.
#pragma once
#include <functional>

#include "crash/checker.hpp"
#include "crash/recording.hpp"
#include "crash/report.hpp"

namespace crash {

/// Loses all flushes of the job together, then (`each`) every flush alone, of which only the states are judged that
/// this makes possible, up to the first bad one. The disk may be in any state; it is left in one. `checker` has to
/// allow what the job may leave.
LostFlushesReport replay_with_lost_flushes(const Job& job, const std::vector<LogEntry>& log, Disk& disk,
                                           Checker& checker, Thoroughness how, bool each);

} // namespace crash
