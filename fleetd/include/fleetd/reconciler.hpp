// What a host has to do next so that its containers become what the fleet wants: a function of a snapshot.
//
// At most one action a replica and turn; the agent carries them out, looks again, and asks again. So a crash between
// any two actions is no special case.
//
//   no container --pull--> image there --create--> created --start--> running (the engine restarts it from here on)
//   other hash, or not wanted here: --stop--> exited --remove--> no container
#pragma once
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "fleetd/model.hpp"

namespace fleet {

using TimePoint = std::chrono::steady_clock::time_point;

/// A container of this host that carries a fleet's labels.
struct ObservedContainer {
    std::string id;
    std::string name;
    std::string store; ///< labels
    std::string unit;
    unsigned replica = 0;
    std::string hash;
    std::int64_t launch = 0;
    std::string state = "created"; ///< Docker's word: created, running, paused, restarting, removing, exited, dead
    std::string health = "none";
    int exit_code = 0;
    std::string error; ///< the engine's: why the last start failed
    std::string started;
    std::string finished;
    unsigned restarts = 0;
    TimePoint running_since{}; ///< as far as the agent saw it
};

/// A container without a health command is believed to run when it has done so this long: most that cannot work end
/// at once.
constexpr std::chrono::milliseconds proving_time{1500};

struct ImageState {
    bool present = false;
    bool pulling = false;
    std::string error; ///< of the last pull
    TimePoint retry_at{};
};

/// What went wrong with a replica last time.
struct Failure {
    Revision revision = 0; ///< the action's: a unit that was edited, or started again, or is to go, is tried at once
    std::string error;
    unsigned attempts = 0;
    TimePoint retry_at{};
};

using Slot = std::pair<std::string, unsigned>; ///< unit and replica

struct HostSnapshot {
    std::string host;
    std::string store;
    const FleetSnapshot& fleet;
    std::vector<ObservedContainer> containers;
    std::map<std::string, ImageState> images; ///< of `images_needed`
    std::map<Slot, Failure> failures;
    TimePoint now{};
};

struct Action {
    enum class Kind { pull, create, start, stop, remove };
    Kind kind;
    std::string unit;
    unsigned replica = 0;
    std::string container; ///< id; of start, stop and remove
    std::string image;     ///< of pull
    Revision revision = 0; ///< of the unit; 0: it is not wanted here
    bool operator==(const Action&) const = default;
};
const char* to_string(Action::Kind kind) noexcept;

struct Plan {
    std::vector<Action> actions;
    std::vector<ReplicaReport> replicas;
    std::vector<std::string> foreign; ///< names of containers left alone: another store's, or with labels not ours
};

/// The images that must be known before `reconcile`.
std::vector<std::string> images_needed(const HostSnapshot& host);
Plan reconcile(const HostSnapshot& host);

/// 1 s, 2 s, 4 s ... 60 s
std::chrono::milliseconds retry_delay(unsigned attempts) noexcept;

} // namespace fleet
