// Waits until units are as wanted, and tells on standard error what happens meanwhile.
#pragma once
#include <chrono>

#include "ctl/fleet_client.hpp"

namespace fleet {

/// "running, healthy", "pulling for image busybox:1", "waiting: host port 80/tcp of ... is taken"
std::string describe_replica(const ReplicaStatus& replica);
/// "web/0 on atoll"
std::string replica_title(const std::string& unit, const ReplicaStatus& replica);

/// Why waiting longer is no use: an error, a failed end, an unhealthy or ever restarting replica. Empty: go on.
std::string hopeless(const UnitStatus& status);

/// Returns when every replica of all units is as wanted; for units that are destroyed, gone. Throws base::Error when
/// one cannot be (fleetd goes on trying), or after `timeout`.
void wait_until_converged(FleetClient& client, const std::vector<std::string>& units, std::chrono::seconds timeout);

} // namespace fleet
