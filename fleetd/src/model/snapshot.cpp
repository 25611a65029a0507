#include "base/error.hpp"
#include "fleetd/model.hpp"
#include "model/records.hpp"

namespace fleet {
namespace {

/// "web" of "units/web" with prefix "units/".
std::optional<std::string> name_after(const std::string& key, std::string_view prefix) {
    return key.starts_with(prefix) ? std::optional(key.substr(prefix.size())) : std::nullopt;
}

void take(FleetSnapshot& fleet, const Entry& entry) {
    const auto input = [&] {
        fleet.input_revision = std::max(fleet.input_revision, entry.modified);
    };
    if (const auto unit_name = name_after(entry.key, keys::units)) {
        input();
        Unit unit = parse_unit_record(entry.value, entry.key);
        unit.spec.name = *unit_name;
        unit.spec_revision = entry.modified;
        Unit& known = fleet.units[*unit_name];
        unit.desired = known.desired; // "states/" sorts before "units/"
        unit.launch = known.launch;
        unit.state_revision = known.state_revision;
        known = std::move(unit);
    } else if (const auto state_name = name_after(entry.key, keys::states)) {
        input();
        const UnitState state = parse_state_record(entry.value, entry.key);
        Unit& unit = fleet.units[*state_name];
        unit.desired = state.desired;
        unit.launch = state.launch;
        unit.state_revision = entry.modified;
    } else if (const auto placement_name = name_after(entry.key, keys::placements)) {
        input();
        UnitPlacement placement = parse_placement_record(entry.value, entry.key);
        placement.revision = entry.modified;
        fleet.placements[*placement_name] = std::move(placement);
    } else if (const auto host_id = name_after(entry.key, keys::hosts)) {
        Host host = parse_host_record(entry.value, entry.key);
        host.id = *host_id;
        fleet.hosts[*host_id] = std::move(host);
    } else if (const auto report_host = name_after(entry.key, keys::reports)) {
        fleet.reports[*report_host] = parse_report_record(entry.value, entry.key);
    }
}

/// The unit that a record is about; empty for hosts and reports.
std::string unit_of(const std::string& key) {
    for (const char* prefix : {keys::units, keys::states, keys::placements}) {
        if (const auto name = name_after(key, prefix))
            return *name;
    }
    return {};
}

} // namespace

const char* to_string(Desired desired) noexcept {
    switch (desired) {
    case Desired::inactive:
        return "inactive";
    case Desired::loaded:
        return "loaded";
    case Desired::launched:
        break;
    }
    return "launched";
}

std::optional<Desired> parse_desired(std::string_view text) noexcept {
    for (const Desired desired : {Desired::inactive, Desired::loaded, Desired::launched}) {
        if (text == to_string(desired))
            return desired;
    }
    return std::nullopt;
}

FleetSnapshot read_snapshot(Store& store) {
    FleetSnapshot fleet;
    const Listing listing = store.list("");
    fleet.revision = listing.revision;
    for (const Entry& entry : listing.entries) {
        try {
            take(fleet, entry);
        } catch (const base::Error& error) {
            // Written by a later release, or damaged. What it is about is left as it is: nothing is known of it.
            if (const std::string name = unit_of(entry.key); !name.empty())
                fleet.unreadable.emplace(name, error.what());
        }
    }
    // A state without a specification has nothing to run.
    std::erase_if(fleet.units, [&](const auto& item) {
        return item.second.spec_revision == 0 || fleet.unreadable.contains(item.first);
    });
    return fleet;
}

} // namespace fleet
