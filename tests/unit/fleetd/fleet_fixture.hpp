// Snapshots for scheduler and reconciler tests.
#pragma once
#include "fleetd/reconciler.hpp"
#include "fleetd/scheduler.hpp"

namespace fleet_test {

inline fleet::Unit make_unit(const std::string& name, unsigned replicas = 1, std::uint16_t port = 0) {
    fleet::Unit unit;
    unit.spec.name = name;
    unit.spec.image = "busybox:1";
    unit.spec.replicas = replicas;
    if (port != 0)
        unit.spec.ports.push_back({"", port, 80, "tcp"});
    unit.hash = fleet::unit_hash(unit.spec);
    unit.desired = fleet::Desired::launched;
    unit.launch = 1;
    unit.spec_revision = 1;
    unit.state_revision = 1;
    return unit;
}

/// Changes what the unit's containers depend on.
inline void edit(fleet::Unit& unit, const std::string& mode) {
    unit.spec.env["MODE"] = mode;
    unit.hash = fleet::unit_hash(unit.spec);
}

inline void apply(fleet::FleetSnapshot& fleet, const fleet::Schedule& schedule) {
    for (const auto& [name, placement] : schedule.changed)
        fleet.placements[name] = placement;
    for (const std::string& name : schedule.removed)
        fleet.placements.erase(name);
}

} // namespace fleet_test
