#include "daemon/leader.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "fleetd/scheduler.hpp"
#include "model/records.hpp"

namespace fleet {
namespace {

/// What was decided holds only for the unit as it was read.
std::vector<Condition> unchanged(const FleetSnapshot& fleet, const std::string& name) {
    const auto unit = fleet.units.find(name);
    const auto placement = fleet.placements.find(name);
    return {{keys::units + name, unit == fleet.units.end() ? 0 : unit->second.spec_revision},
            {keys::states + name, unit == fleet.units.end() ? 0 : unit->second.state_revision},
            {keys::placements + name, placement == fleet.placements.end() ? 0 : placement->second.revision}};
}

} // namespace

bool Leader::turn() {
    const FleetSnapshot fleet = read_snapshot(store_);
    for (const auto& [name, reason] : fleet.unreadable) {
        if (std::exchange(told_[name], reason) != reason)
            base::log_warning("unit={} is left alone: its record cannot be read: {}", name, reason);
    }
    const Schedule decided = schedule(fleet);
    bool complete = true;
    for (const auto& [name, placement] : decided.changed) {
        const Write write{keys::placements + name, serialize_placement(placement), Lifetime::durable};
        complete &= store_.commit(unchanged(fleet, name), {write}).has_value();
    }
    for (const std::string& name : decided.removed) {
        const Write write{keys::placements + name, std::nullopt, Lifetime::durable};
        complete &= store_.commit(unchanged(fleet, name), {write}).has_value();
    }
    return complete;
}

void Leader::start() {
    thread_ = std::thread([this] { run(); });
}

void Leader::stop() noexcept {
    stopping_ = true;
    watch_.wake();
    if (thread_.joinable())
        thread_.join();
}

void Leader::run() {
    using namespace std::chrono_literals;
    while (!stopping_) {
        auto pause = std::chrono::milliseconds(60s); // a look now and then, should a change have been missed
        try {
            if (!turn())
                pause = 0ms;
        } catch (const std::exception& error) {
            base::log_error("cannot place units: {}", base::error_chain(error));
            pause = 2s;
        }
        watch_.wait(pause);
    }
}

} // namespace fleet
