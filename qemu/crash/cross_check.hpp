// The checker against programs of others: the journal's replay against e2fsprogs's, the repository against `ostree fsck`.
#pragma once
#include "crash/booter.hpp"
#include "crash/recording.hpp"
#include "crash/report.hpp"

namespace crash {

/// What differs goes into the report as a problem.
void cross_check(Disk& disk, const Chosen& chosen, const Recording& recording, ReplayReport& report);

} // namespace crash
