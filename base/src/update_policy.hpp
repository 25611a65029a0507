// The part of host.yaml's `update` that says when updates are looked for and installed.
#pragma once
#include "base/config_reader.hpp"
#include "base/host_config.hpp"

namespace base {

UpdatePolicy read_update_policy(ConfigMap& update);

} // namespace base
