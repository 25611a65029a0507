// `health:` of host.yaml.
#pragma once
#include <vector>

#include "base/config_reader.hpp"
#include "base/host_config.hpp"

namespace base {

std::vector<HealthCheck> read_health_checks(ConfigMap& root);

} // namespace base
