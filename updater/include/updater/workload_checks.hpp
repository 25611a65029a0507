// Runs the checks of host.yaml's `health:` against engined.
#pragma once
#include <string>
#include <vector>

#include "base/host_config.hpp"
#include "updater/workload.hpp"

namespace updater {

/// One round, check after check. What keeps a check from being run is its result, not an exception: engined that does
/// not answer is `unknown` here, because the judge asks engined itself.
std::vector<CheckResult> run_checks(const std::vector<base::HealthCheck>& checks, const std::string& engine_socket);

} // namespace updater
