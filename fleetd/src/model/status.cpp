#include "fleetd/model.hpp"

namespace fleet {
namespace {

const ReplicaReport* find_report(const FleetSnapshot& fleet, const std::string& host, const std::string& unit,
                                 unsigned replica) {
    const auto report = fleet.reports.find(host);
    if (report == fleet.reports.end())
        return nullptr;
    for (const ReplicaReport& candidate : report->second.replicas) {
        if (candidate.unit == unit && candidate.replica == replica)
            return &candidate;
    }
    return nullptr;
}

std::string host_name(const FleetSnapshot& fleet, const std::string& id) {
    const auto host = fleet.hosts.find(id);
    return host == fleet.hosts.end() ? id : host->second.name;
}

ReplicaStatus waiting(const std::string& unit, unsigned replica, std::string detail, std::string error = {}) {
    ReplicaStatus status;
    status.report.unit = unit;
    status.report.replica = replica;
    status.report.state = "waiting";
    status.report.health = "none";
    status.report.detail = std::move(detail);
    status.report.error = std::move(error);
    status.current = !status.report.error.empty();
    return status;
}

ReplicaStatus wanted_replica(const FleetSnapshot& fleet, const Unit& unit, unsigned replica) {
    const std::string& name = unit.spec.name;
    const auto placement = fleet.placements.find(name);
    if (placement == fleet.placements.end() || placement->second.hash != unit.hash ||
        replica >= placement->second.replicas.size())
        return waiting(name, replica, "for a host");
    const ReplicaPlacement& place = placement->second.replicas[replica];
    if (place.host.empty())
        return waiting(name, replica, "for a host", place.problem);
    ReplicaStatus status = waiting(name, replica, "for its host");
    status.host = place.host;
    status.host_name = host_name(fleet, place.host);
    const auto host = fleet.reports.find(place.host);
    const ReplicaReport* report = find_report(fleet, place.host, name, replica);
    if (report == nullptr) {
        if (host != fleet.reports.end() && !host->second.engine_error.empty())
            status.report.detail = host->second.engine_error;
        return status;
    }
    status.report = *report;
    status.current = host->second.seen >= std::max(unit.revision(), placement->second.revision);
    // What the agent knew when it wrote this may be older than what is wanted now.
    if (!status.current) {
        status.report.converged = false;
        status.report.error.clear();
    }
    return status;
}

/// What a host still has beside what is wanted of it: replicas that moved, or are too many, or of a destroyed unit.
void add_leftovers(const FleetSnapshot& fleet, const std::string& name, std::vector<ReplicaStatus>& replicas) {
    const std::size_t wanted = replicas.size();
    for (const auto& [host, report] : fleet.reports) {
        for (const ReplicaReport& replica : report.replicas) {
            // A wanted replica that has no host yet may well be this one: it is decided when it has one.
            const bool listed = std::any_of(replicas.begin(), replicas.begin() + static_cast<std::ptrdiff_t>(wanted),
                                            [&, &id = host](const ReplicaStatus& known) {
                                                return known.report.replica == replica.replica &&
                                                       (known.host.empty() || known.host == id);
                                            });
            if (replica.unit != name || listed)
                continue;
            const bool going = replica.state == "stopping" || replica.state == "removing";
            ReplicaStatus& status = replicas.emplace_back(ReplicaStatus{replica, host, host_name(fleet, host), going});
            status.report.converged = false;
            if (!going) // said when it was still wanted
                status.report.error.clear();
        }
    }
}

} // namespace

std::vector<ReplicaStatus> unit_status(const FleetSnapshot& fleet, const std::string& name) {
    std::vector<ReplicaStatus> replicas;
    const auto unit = fleet.units.find(name);
    if (unit != fleet.units.end() && unit->second.desired != Desired::inactive) {
        for (unsigned i = 0; i < unit->second.spec.replicas; ++i)
            replicas.push_back(wanted_replica(fleet, unit->second, i));
    }
    add_leftovers(fleet, name, replicas);
    return replicas;
}

} // namespace fleet
