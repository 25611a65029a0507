// Which replica belongs on which host: a function of a snapshot, nothing else.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "fleetd/model.hpp"

namespace fleet {

struct Schedule {
    std::map<std::string, UnitPlacement> changed; ///< placements to write
    std::vector<std::string> removed;             ///< units whose placement goes
    bool empty() const noexcept { return changed.empty() && removed.empty(); }
};

/// Rules, in this order:
///  1. A replica stays where it is while its host is there; one that was placed for the specification as it is now
///     goes before one whose specification changed, so an edited unit cannot take another's host port away.
///  2. Two replicas that publish the same host port are never on one host.
///  3. A new replica goes to the host with the fewest replicas of its unit, then the fewest of all, then the lowest id.
/// The same snapshot gives the same schedule, and the schedule of the result is empty.
Schedule schedule(const FleetSnapshot& fleet);

} // namespace fleet
