#include "fleetd/reconciler.hpp"

namespace fleet {
namespace {

bool is_up(const ObservedContainer& container) noexcept {
    return container.state == "running" || container.state == "paused" || container.state == "restarting";
}

/// Runs and, as far as its health command says, well.
bool serves(const ObservedContainer& container) noexcept {
    return container.state == "running" && container.health != "starting" && container.health != "unhealthy";
}

/// The containers of one replica, and what becomes of them.
class SlotPlan {
public:
    SlotPlan(const HostSnapshot& host, Plan& plan, Slot slot, const Unit* unit,
             std::vector<const ObservedContainer*> containers)
        : host_(host), plan_(plan), unit_(unit), containers_(std::move(containers)) {
        report_.unit = slot.first;
        report_.replica = slot.second;
        report_.health = "none";
        // The one that is kept comes first: of the right specification, up, and the lowest id to decide.
        std::sort(containers_.begin(), containers_.end(), [&](const auto* a, const auto* b) {
            const auto rank = [&](const ObservedContainer* c) {
                return std::tuple(unit_ == nullptr || c->hash != unit_->hash, !is_up(*c), c->id);
            };
            return rank(a) < rank(b);
        });
    }

    /// `may_replace`: whether a running container of an older specification may be stopped now.
    void run(bool may_replace) {
        if (unit_ == nullptr) {
            discard(*containers_.front(), "");
        } else if (containers_.empty()) {
            create();
        } else {
            const ObservedContainer& current = *containers_.front();
            describe(current);
            if (containers_.size() > 1)
                discard(*containers_.back(), "a second container of this replica");
            else if (current.hash != unit_->hash)
                replace(current, may_replace);
            else if (unit_->desired == Desired::launched)
                launch(current);
            else
                unload(current);
        }
        plan_.replicas.push_back(std::move(report_));
    }

private:
    void act(Action::Kind kind, const char* state, const std::string& container = {}) {
        report_.state = state;
        report_.converged = false;
        const Failure* failure = current_failure();
        if (failure != nullptr) {
            report_.error = failure->error;
            if (failure->retry_at > host_.now)
                return;
        }
        plan_.actions.push_back({kind, report_.unit, report_.replica, container, {}, revision()});
    }

    /// The last failure, when it was about what is wanted now.
    const Failure* current_failure() const {
        const auto it = host_.failures.find({report_.unit, report_.replica});
        if (it == host_.failures.end())
            return nullptr;
        return it->second.revision == revision() ? &it->second : nullptr;
    }

    Revision revision() const { return unit_ == nullptr ? 0 : unit_->revision(); }

    void describe(const ObservedContainer& container) {
        report_.container = container.id;
        report_.hash = container.hash;
        report_.health = is_up(container) ? container.health : "none";
        report_.exit_code = container.exit_code;
        report_.restarts = container.restarts;
        report_.since = is_up(container) ? container.started : container.finished;
    }

    void settle(std::string state, std::string detail = {}) {
        report_.state = std::move(state);
        report_.detail = std::move(detail);
        report_.converged = true;
    }

    /// Stops, then removes.
    void discard(const ObservedContainer& container, const char* why) {
        describe(container);
        report_.detail = why;
        if (container.state == "removing")
            report_.state = "removing";
        else if (is_up(container))
            act(Action::Kind::stop, "stopping", container.id);
        else
            act(Action::Kind::remove, "removing", container.id);
    }

    /// True when the image is here; otherwise a pull is asked for or awaited.
    bool have_image() {
        const std::string& image = unit_->spec.image;
        const auto it = host_.images.find(image);
        const ImageState state = it == host_.images.end() ? ImageState{} : it->second;
        if (state.present)
            return true;
        report_.converged = false;
        report_.state = state.error.empty() || state.pulling ? "pulling" : "waiting";
        report_.detail = fmt::format("for image {}", image);
        report_.error = state.error;
        const Action pull{Action::Kind::pull, report_.unit, report_.replica, {}, image, revision()};
        const bool asked = std::any_of(plan_.actions.begin(), plan_.actions.end(), [&](const Action& action) {
            return action.kind == Action::Kind::pull && action.image == image;
        });
        if (it != host_.images.end() && !state.pulling && !asked && state.retry_at <= host_.now)
            plan_.actions.push_back(pull);
        return false;
    }

    void create() {
        if (have_image())
            act(Action::Kind::create, "creating");
    }

    void replace(const ObservedContainer& old, bool may_replace) {
        if (old.state == "removing") {
            report_.state = "removing";
        } else if (!have_image()) {
            if (serves(old)) {
                report_.state = "running";
                report_.detail = "as before; " + report_.detail;
            }
        } else if (serves(old) && !may_replace) {
            report_.state = "running";
            report_.detail = "as before; for the replicas before it";
        } else {
            discard(old, "its unit changed");
        }
    }

    void launch(const ObservedContainer& container) {
        if (container.state == "running") {
            settle("running");
            const bool proven = container.health != "none" || host_.now - container.running_since >= proving_time;
            report_.converged = serves(container) && proven;
        } else if (container.state == "paused" || container.state == "restarting") {
            report_.state = container.state;
            report_.detail = container.state == "paused" ? "by hand" : fmt::format("exit code {}", container.exit_code);
            if (!container.error.empty())
                report_.detail += ": " + container.error;
        } else if (container.state == "removing" || container.state == "dead") {
            discard(container, "");
        } else if (container.state == "created" || unit_->spec.restart == Restart::always) {
            act(Action::Kind::start, "starting", container.id);
        } else if (container.launch != unit_->launch) {
            discard(container, "of the last launch");
        } else if (container.exit_code == 0) {
            settle("exited");
        } else {
            settle("failed", fmt::format("exit code {}", container.exit_code));
        }
    }

    void unload(const ObservedContainer& container) {
        if (container.state == "removing" || container.state == "dead")
            discard(container, "");
        else if (is_up(container))
            act(Action::Kind::stop, "stopping", container.id);
        else
            settle("stopped");
    }

    const HostSnapshot& host_;
    Plan& plan_;
    const Unit* unit_; ///< nullptr: nothing of it is wanted here
    std::vector<const ObservedContainer*> containers_;
    ReplicaReport report_;
};

/// The replicas that this host should have.
std::map<Slot, const Unit*> wanted_slots(const HostSnapshot& host) {
    std::map<Slot, const Unit*> slots;
    for (const auto& [name, unit] : host.fleet.units) {
        const auto placement = host.fleet.placements.find(name);
        if (unit.desired == Desired::inactive || placement == host.fleet.placements.end() ||
            placement->second.hash != unit.hash)
            continue;
        const auto& replicas = placement->second.replicas;
        for (unsigned i = 0; i < replicas.size() && i < unit.spec.replicas; ++i) {
            if (replicas[i].host == host.host)
                slots[{name, i}] = &unit;
        }
    }
    return slots;
}

/// A placement that is older than its unit says nothing about where the unit belongs now.
bool placement_is_stale(const FleetSnapshot& fleet, const std::string& name) {
    const auto unit = fleet.units.find(name);
    if (unit == fleet.units.end() || unit->second.desired == Desired::inactive)
        return false;
    const auto placement = fleet.placements.find(name);
    return placement == fleet.placements.end() || placement->second.hash != unit->second.hash ||
           placement->second.replicas.size() != unit->second.spec.replicas;
}

/// One running replica of a changed unit is replaced at a time, and only while those replaced before it serve: a
/// broken new specification stops at the first one.
class Rollout {
public:
    Rollout(const std::map<Slot, const Unit*>& wanted,
            const std::map<Slot, std::vector<const ObservedContainer*>>& containers) {
        for (const auto& [slot, unit] : wanted) {
            const auto it = containers.find(slot);
            bool old_serves = false;
            bool new_serves = false;
            if (it != containers.end()) {
                for (const ObservedContainer* container : it->second) {
                    (container->hash == unit->hash ? new_serves : old_serves) |=
                        serves(*container) || unit->desired != Desired::launched;
                }
            }
            if (!new_serves && !old_serves)
                blocked_.insert(slot.first);
        }
    }
    /// Asked once a slot, in order; the first of a unit that may go blocks the rest.
    bool may_replace(const std::string& unit) { return blocked_.insert(unit).second; }

private:
    std::set<std::string> blocked_;
};

bool is_ours(const HostSnapshot& host, const ObservedContainer& container) {
    return container.store == host.store && !container.unit.empty();
}

} // namespace

const char* to_string(Action::Kind kind) noexcept {
    switch (kind) {
    case Action::Kind::pull:
        return "pull";
    case Action::Kind::create:
        return "create";
    case Action::Kind::start:
        return "start";
    case Action::Kind::stop:
        return "stop";
    case Action::Kind::remove:
        break;
    }
    return "remove";
}

std::vector<std::string> images_needed(const HostSnapshot& host) {
    std::set<std::string> images;
    for (const auto& item : wanted_slots(host)) {
        const Unit& unit = *item.second;
        const bool there = std::any_of(host.containers.begin(), host.containers.end(), [&](const auto& container) {
            return is_ours(host, container) && Slot(container.unit, container.replica) == item.first &&
                   container.hash == unit.hash && container.state != "removing" && container.state != "dead";
        });
        if (!there)
            images.insert(unit.spec.image);
    }
    return {images.begin(), images.end()};
}

Plan reconcile(const HostSnapshot& host) {
    Plan plan;
    const auto wanted = wanted_slots(host);
    std::map<Slot, std::vector<const ObservedContainer*>> containers;
    for (const auto& [slot, unit] : wanted)
        containers[slot];
    for (const ObservedContainer& container : host.containers) {
        if (!is_ours(host, container) || host.fleet.unreadable.contains(container.unit))
            plan.foreign.push_back(container.name);
        else
            containers[{container.unit, container.replica}].push_back(&container);
    }
    Rollout rollout(wanted, containers);
    for (auto& [slot, found] : containers) {
        const auto unit = wanted.find(slot);
        if (unit == wanted.end() && placement_is_stale(host.fleet, slot.first))
            continue; // the leader has not spoken yet
        const bool changed =
            unit != wanted.end() && std::any_of(found.begin(), found.end(), [&](const ObservedContainer* container) {
                return container->hash != unit->second->hash && serves(*container);
            });
        const bool may_replace = changed && rollout.may_replace(slot.first);
        SlotPlan(host, plan, slot, unit == wanted.end() ? nullptr : unit->second, std::move(found)).run(may_replace);
    }
    return plan;
}

std::chrono::milliseconds retry_delay(unsigned attempts) noexcept {
    using namespace std::chrono_literals;
    return std::min<std::chrono::milliseconds>(1s * (1U << std::min(attempts == 0 ? 0 : attempts - 1, 6U)), 60s);
}

} // namespace fleet
