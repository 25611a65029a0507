// What engined does to the host before anything runs: the first boot's configuration, the host's name, sysctls,
// modules, and what its services are told.
#pragma once
#include <map>
#include <string>

#include "base/host_config.hpp"

namespace engine {

/// Copies a config drive's files to `target` when that has no host.yaml: host.yaml is read and checked first and
/// written last, so that a first boot that is cut off is a first boot again. Returns true when it copied. Throws
/// base::Error; nothing is copied from a drive whose host.yaml is wrong.
bool copy_config_drive(const std::string& drive, const std::string& target);

/// The name, the sysctls and the modules. A setting the kernel refuses is logged: the rest of the host shall start.
void apply_host_config(const base::HostConfig& config);

/// The environment of the services that host.yaml configures: EngineOptions::service_environment.
std::map<std::string, std::map<std::string, std::string>> service_environment(const base::HostConfig& config);

} // namespace engine
