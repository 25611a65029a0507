// Parts of config.json: mounts, devices, resources.
#pragma once
#include <string>
#include <vector>

#include "base/json.hpp"
#include "engine/container.hpp"

namespace engine {

/// proc, dev, sys and the like; /etc/{hosts,hostname,resolv.conf} out of `directory` (unless empty); the container's
/// own.
base::json::array container_mounts(const ContainerConfig& config, const std::string& directory);

struct DeviceList {
    base::json::array devices; ///< to be made in /dev, besides those every container has
    base::json::array rules;   ///< of the device controller
};
/// Throws EngineError when a device is not there.
DeviceList container_devices(const ContainerConfig& config);

base::json::object resource_object(const Resources& resources);

} // namespace engine
