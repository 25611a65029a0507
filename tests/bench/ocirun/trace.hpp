// Where the time of `ocirun run` with a cached filter goes, step by step.
#pragma once
#include <string>

namespace ocirun_bench {

/// `directory` holds the bundle "filter". Runs ocirun_faults so often and returns a table of medians.
std::string trace_of_run(const std::string& directory, int rounds);

} // namespace ocirun_bench
