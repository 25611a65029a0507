// The values of the store's keys, as JSON text. What is read back may have been written by the release after this one:
// unknown members are ignored, a record that cannot be understood throws base::Error naming its key.
#pragma once
#include <string>

#include "fleetd/model.hpp"

namespace fleet {

namespace keys {
inline constexpr const char* units = "units/";
inline constexpr const char* states = "states/";
inline constexpr const char* placements = "placements/";
inline constexpr const char* hosts = "hosts/";
inline constexpr const char* reports = "reports/";
} // namespace keys

/// Canonical: members in a fixed order, defaults left out. unit_hash is over this text.
std::string serialize_spec(const UnitSpec& spec);

std::string serialize_unit(const UnitSpec& spec, const std::string& hash, const std::string& source);
/// Spec, hash and source.
Unit parse_unit_record(const std::string& text, const std::string& key);

struct UnitState {
    Desired desired = Desired::inactive;
    std::int64_t launch = 0;
};
std::string serialize_state(const UnitState& state);
UnitState parse_state_record(const std::string& text, const std::string& key);

std::string serialize_placement(const UnitPlacement& placement);
UnitPlacement parse_placement_record(const std::string& text, const std::string& key);

std::string serialize_host(const Host& host);
Host parse_host_record(const std::string& text, const std::string& key);

std::string serialize_report(const HostReport& report);
HostReport parse_report_record(const std::string& text, const std::string& key);

} // namespace fleet
