// The API's documents, and the bodies it takes.
#pragma once
#include <string>

#include "fleetd/model.hpp"

namespace fleet {

/// Of PUT units/NAME: {"source": TEXT, "file": NAME OF IT} or {"spec": {as in a unit file}}, and "desired" in either.
struct SubmitBody {
    UnitSpec spec;
    std::string source;
    std::optional<Desired> desired;
};
/// Throws base::ConfigError for a bad unit, base::Error for a bad body.
SubmitBody parse_submit_body(const std::string& text);
/// Of POST units/NAME/desired: {"desired": "launched"}.
Desired parse_desired_body(const std::string& text);

std::string unit_list_json(const FleetSnapshot& fleet);
std::string unit_json(const Unit& unit);
/// Also of a unit that is destroyed but still has containers.
std::string unit_status_json(const FleetSnapshot& fleet, const std::string& name);
std::string host_list_json(const FleetSnapshot& fleet);
std::string submitted_json(const std::string& name, Revision revision, bool created, bool changed);
std::string problems_json(const std::string& message, const std::vector<std::string>& problems);

} // namespace fleet
