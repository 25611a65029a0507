#include "fleetd/scheduler.hpp"

namespace fleet {
namespace {

/// What is taken on one host so far.
struct Load {
    struct Taken {
        PublishedPort port;
        std::string unit;
        unsigned replica;
    };
    unsigned replicas = 0;
    std::map<std::string, unsigned> of_unit;
    std::vector<Taken> ports;

    const Taken* conflict(const UnitSpec& spec) const {
        for (const Taken& taken : ports) {
            for (const PublishedPort& port : spec.ports) {
                if (ports_conflict(taken.port, port))
                    return &taken;
            }
        }
        return nullptr;
    }
    void add(const UnitSpec& spec, unsigned replica) {
        ++replicas;
        ++of_unit[spec.name];
        for (const PublishedPort& port : spec.ports) {
            if (port.host_port != 0)
                ports.push_back({port, spec.name, replica});
        }
    }
};

class Scheduling {
public:
    explicit Scheduling(const FleetSnapshot& fleet) : fleet_(fleet) {
        for (const auto& [id, host] : fleet.hosts)
            loads_[id];
        for (const auto& [name, unit] : fleet.units) {
            if (unit.desired != Desired::inactive)
                result_[name] = {unit.hash, std::vector<ReplicaPlacement>(unit.spec.replicas), 0};
        }
    }

    std::map<std::string, UnitPlacement> run() {
        keep(true);
        keep(false);
        for (auto& [name, placement] : result_) {
            for (unsigned i = 0; i < placement.replicas.size(); ++i) {
                if (placement.replicas[i].host.empty())
                    place(fleet_.units.at(name).spec, i, placement.replicas[i]);
            }
        }
        return std::move(result_);
    }

private:
    /// Replicas that stay; those of an unchanged specification, then those of a changed one.
    void keep(bool unchanged) {
        for (auto& [name, placement] : result_) {
            const auto before = fleet_.placements.find(name);
            if (before == fleet_.placements.end() || (before->second.hash == placement.hash) != unchanged)
                continue;
            const UnitSpec& spec = fleet_.units.at(name).spec;
            for (unsigned i = 0; i < placement.replicas.size() && i < before->second.replicas.size(); ++i) {
                const auto load = loads_.find(before->second.replicas[i].host);
                if (load == loads_.end() || load->second.conflict(spec) != nullptr)
                    continue;
                load->second.add(spec, i);
                placement.replicas[i].host = load->first;
            }
        }
    }

    void place(const UnitSpec& spec, unsigned replica, ReplicaPlacement& place) {
        Load* best = nullptr;
        for (auto& [id, load] : loads_) {
            if (load.conflict(spec) != nullptr)
                continue;
            const auto rank = [&](const Load& candidate) {
                const auto same = candidate.of_unit.find(spec.name);
                return std::pair(same == candidate.of_unit.end() ? 0 : same->second, candidate.replicas);
            };
            if (best == nullptr || rank(load) < rank(*best)) {
                best = &load;
                place.host = id;
            }
        }
        if (best != nullptr)
            best->add(spec, replica);
        else
            place.problem = why_not(spec);
    }

    std::string why_not(const UnitSpec& spec) const {
        if (loads_.empty())
            return "there is no host";
        std::string text;
        for (const auto& [id, load] : loads_) {
            const Load::Taken& taken = *load.conflict(spec);
            text += fmt::format("{}host port {}/{} of {} is taken by {} replica {}", text.empty() ? "" : "; ",
                                taken.port.host_port, taken.port.protocol, fleet_.hosts.at(id).name, taken.unit,
                                taken.replica);
        }
        return text;
    }

    const FleetSnapshot& fleet_;
    std::map<std::string, Load> loads_;
    std::map<std::string, UnitPlacement> result_;
};

} // namespace

Schedule schedule(const FleetSnapshot& fleet) {
    Schedule schedule;
    for (auto& [name, placement] : Scheduling(fleet).run()) {
        const auto before = fleet.placements.find(name);
        if (before == fleet.placements.end() || !before->second.same_as(placement))
            schedule.changed.emplace(name, placement);
    }
    for (const auto& [name, placement] : fleet.placements) {
        const auto unit = fleet.units.find(name);
        const bool wanted = unit != fleet.units.end() && unit->second.desired != Desired::inactive;
        if (!wanted && !fleet.unreadable.contains(name))
            schedule.removed.push_back(name);
    }
    return schedule;
}

} // namespace fleet
