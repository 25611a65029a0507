// The fleet's state: units and what is wanted of them, where their replicas belong, and what hosts say they run.
//
//   units/NAME       the specification                       written by the API
//   states/NAME      what is wanted                          written by the API
//   placements/NAME  which host has which replica            written by the leader
//   hosts/ID         a host that is there (session key)      written by its agent
//   reports/ID       what it runs         (session key)      written by its agent
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fleetd/store.hpp"
#include "fleetd/unit_spec.hpp"

namespace fleet {

///            submit                load            start
///   (none) ---------> inactive ----------> loaded <-----> launched      destroy: from each of them to (none)
///                        |                        stop        ^
///                        +------------------------------------+
///                                        start
enum class Desired {
    inactive, ///< kept in the store, on no host
    loaded,   ///< has a host and a container there, which does not run
    launched, ///< runs
};
const char* to_string(Desired desired) noexcept;
std::optional<Desired> parse_desired(std::string_view text) noexcept;

struct Unit {
    UnitSpec spec;
    std::string hash;   ///< as it was when submitted: a later release may hash otherwise and still finds its containers
    std::string source; ///< the unit file's text
    Desired desired = Desired::inactive;
    std::int64_t launch = 0; ///< how often it was started: what runs to its end runs once a launch
    Revision spec_revision = 0;
    Revision state_revision = 0;
    Revision revision() const noexcept { return spec_revision > state_revision ? spec_revision : state_revision; }
};

/// Where one replica belongs, or why it belongs nowhere.
struct ReplicaPlacement {
    std::string host; ///< id; empty: none
    std::string problem;
    bool operator==(const ReplicaPlacement&) const = default;
};

struct UnitPlacement {
    std::string hash;                       ///< of the specification that was placed
    std::vector<ReplicaPlacement> replicas; ///< by number
    Revision revision = 0;
    bool same_as(const UnitPlacement& other) const { return hash == other.hash && replicas == other.replicas; }
};

struct Host {
    std::string id;
    std::string name;
    std::string version; ///< fleetd's
};

/// One replica, as its host's agent sees it.
struct ReplicaReport {
    std::string unit;
    unsigned replica = 0;
    std::string state;  ///< pulling, creating, starting, running, restarting, paused, stopping, stopped, exited,
                        ///< failed, removing, waiting, unknown
    std::string health; ///< none, starting, healthy, unhealthy
    std::string detail; ///< what it waits for, how it ended
    std::string error;  ///< what was tried and failed; it is tried again
    std::string container;
    std::string hash; ///< of the container's specification
    std::string since;
    int exit_code = 0;
    unsigned restarts = 0;
    bool converged = false; ///< as wanted: nothing left to do
    bool operator==(const ReplicaReport&) const = default;
};

struct HostReport {
    Revision seen = 0;        ///< the newest unit, state or placement this report takes account of
    std::string engine;       ///< version
    std::string engine_error; ///< why the engine cannot be reached
    std::vector<ReplicaReport> replicas;
    std::vector<std::string> foreign; ///< containers that another store's fleet left here
    bool operator==(const HostReport&) const = default;
};

/// Everything at one moment.
struct FleetSnapshot {
    Revision revision = 0;
    Revision input_revision = 0; ///< newest of units/, states/ and placements/
    std::map<std::string, Unit> units;
    /// Units whose records this release cannot read (leave theirs alone), and why.
    std::map<std::string, std::string> unreadable;
    std::map<std::string, UnitPlacement> placements;
    std::map<std::string, Host> hosts;
    std::map<std::string, HostReport> reports;
};

/// Throws base::Error when the store cannot be read; a record that cannot be is in `unreadable`.
FleetSnapshot read_snapshot(Store& store);

/// One replica for people and scripts: placement and report together.
struct ReplicaStatus {
    ReplicaReport report;
    std::string host;
    std::string host_name;
    bool current = true; ///< false: from before the last change of the unit
};

/// The wanted replicas of a unit, and those that are still there.
std::vector<ReplicaStatus> unit_status(const FleetSnapshot& fleet, const std::string& name);

} // namespace fleet
