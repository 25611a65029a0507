// A fleet in memory: the scheduler and the reconciler as the daemon runs them, hosts that come and go, engines that
// fail, containers that crash, people who change their minds. Every seed is another history; the same seed is the same
// one.
#include <boost/test/unit_test.hpp>

#include <random>

#include "fleet_fixture.hpp"

using namespace fleet;
using namespace fleet_test;
using namespace std::chrono_literals;

namespace {

struct SimulatedHost {
    std::string id;
    bool in_fleet = true; ///< false: its agent is away, its containers are not
    std::vector<ObservedContainer> containers;
    std::set<std::string> images;
    std::map<Slot, Failure> failures;
    std::map<std::string, ImageState> pulls;
};

class Simulation {
public:
    explicit Simulation(unsigned seed) : random_(seed) {
        for (unsigned i = 0, count = 1 + pick(4); i < count; ++i)
            hosts_.push_back({.id = fmt::format("h{}", i)});
        for (SimulatedHost& host : hosts_) {
            ObservedContainer foreign;
            foreign.id = foreign.name = "foreign-" + host.id;
            foreign.store = "another";
            foreign.unit = "u0";
            foreign.state = "running";
            host.containers.push_back(foreign);
        }
    }

    /// Somebody does something, then everybody reacts once.
    void step() {
        disturb();
        react();
    }
    /// Nobody disturbs any more; true when everything comes to rest.
    bool settle() {
        trouble_ = false;
        for (SimulatedHost& host : hosts_)
            host.in_fleet = true;
        for (int i = 0; i < 400; ++i) {
            now_ += 1min; // whatever waits for another try gets it
            if (!react())
                return true;
        }
        return false;
    }
    void check_final() const;

private:
    unsigned pick(unsigned below) { return std::uniform_int_distribution<unsigned>(0, below - 1)(random_); }
    std::string some_unit() { return fmt::format("u{}", pick(5)); }
    SimulatedHost& some_host() { return hosts_[pick(static_cast<unsigned>(hosts_.size()))]; }

    void disturb();
    bool react();
    void perform(SimulatedHost& host, const Action& action);
    void check_action(const SimulatedHost& host, const Action& action) const;
    void check_always() const;
    void commit(Unit& unit) { unit.spec_revision = unit.state_revision = ++revision_; }
    static ObservedContainer* find(SimulatedHost& host, const std::string& id) {
        for (ObservedContainer& container : host.containers) {
            if (container.id == id)
                return &container;
        }
        return nullptr;
    }

    std::mt19937 random_;
    FleetSnapshot fleet_;
    std::vector<SimulatedHost> hosts_;
    TimePoint now_{1000s};
    Revision revision_ = 0;
    unsigned next_container_ = 0;
    bool trouble_ = true;
};

void Simulation::disturb() {
    const std::string name = some_unit();
    const auto unit = fleet_.units.find(name);
    switch (pick(12)) {
    case 0:
    case 1:
    case 2: {
        const std::int64_t launch = unit == fleet_.units.end() ? 1 : unit->second.launch;
        Unit next = make_unit(name, 1 + pick(3), static_cast<std::uint16_t>(pick(3) * 80));
        next.spec.restart = pick(3) == 0 ? Restart::no : Restart::always;
        next.spec.image = fmt::format("image:{}", pick(3));
        next.hash = unit_hash(next.spec);
        next.launch = launch;
        commit(next);
        fleet_.units[name] = next;
        break;
    }
    case 3:
        if (unit != fleet_.units.end()) {
            unit->second.desired = static_cast<Desired>(pick(3));
            unit->second.launch += unit->second.desired == Desired::launched ? 1 : 0;
            commit(unit->second);
        }
        break;
    case 4:
        fleet_.units.erase(name);
        fleet_.placements.erase(name);
        break;
    case 5:
        some_host().in_fleet ^= true;
        break;
    case 6:
    case 7: { // a container ends, or turns ill
        SimulatedHost& host = some_host();
        ObservedContainer& container = host.containers[pick(static_cast<unsigned>(host.containers.size()))];
        if (container.state == "running" && container.store == "store") {
            container.state = pick(2) == 0 ? "exited" : "restarting";
            container.exit_code = static_cast<int>(pick(2));
        }
        break;
    }
    case 8: { // somebody removes one by hand
        SimulatedHost& host = some_host();
        const std::size_t index = pick(static_cast<unsigned>(host.containers.size()));
        if (host.containers[index].store == "store")
            host.containers.erase(host.containers.begin() + static_cast<std::ptrdiff_t>(index));
        break;
    }
    default: // time passes
        now_ += std::chrono::milliseconds(pick(3000));
    }
}

/// The leader, then the agents. False when nobody had anything to do.
bool Simulation::react() {
    bool busy = false;
    fleet_.hosts.clear();
    for (const SimulatedHost& host : hosts_) {
        if (host.in_fleet)
            fleet_.hosts[host.id] = {host.id, host.id, ""};
    }
    if (!trouble_ || pick(4) != 0) { // now and then the leader is late
        const Schedule decided = schedule(fleet_);
        busy |= !decided.empty();
        apply(fleet_, decided);
    }
    for (SimulatedHost& host : hosts_) {
        // The engine brings back what it restarts.
        for (ObservedContainer& container : host.containers) {
            if (container.state == "restarting" && (!trouble_ || pick(2) == 0)) {
                container.state = "running";
                busy = true;
            }
        }
        if (!host.in_fleet)
            continue;
        HostSnapshot snapshot{host.id, "store", fleet_, host.containers, {}, host.failures, now_};
        for (const std::string& image : images_needed(snapshot)) {
            snapshot.images[image] = host.pulls[image];
            snapshot.images[image].present = host.images.contains(image);
        }
        const Plan plan = reconcile(snapshot);
        for (const ReplicaReport& replica : plan.replicas)
            BOOST_TEST(!replica.state.empty());
        std::set<Slot> acted;
        for (const Action& action : plan.actions) {
            BOOST_TEST(acted.emplace(action.unit, action.replica).second, "two actions for one replica");
            check_action(host, action);
            perform(host, action);
        }
        busy |= !plan.actions.empty();
    }
    check_always();
    return busy;
}

void Simulation::perform(SimulatedHost& host, const Action& action) {
    const bool fails = trouble_ && pick(5) == 0;
    if (action.kind == Action::Kind::pull) {
        host.pulls[action.image] =
            fails ? ImageState{.error = "no network", .retry_at = now_ + 1s} : ImageState{.present = true};
        if (!fails)
            host.images.insert(action.image);
        return;
    }
    if (fails) {
        host.failures[{action.unit, action.replica}] = {action.revision, "refused", 1, now_ + 1s};
        return;
    }
    ObservedContainer* container = find(host, action.container);
    switch (action.kind) {
    case Action::Kind::create: {
        const Unit& unit = fleet_.units.at(action.unit);
        ObservedContainer made;
        made.id = made.name = fmt::format("c{}", next_container_++);
        made.store = "store";
        made.unit = action.unit;
        made.replica = action.replica;
        made.hash = unit.hash;
        made.launch = unit.launch;
        host.containers.push_back(made);
        break;
    }
    case Action::Kind::start:
        container->state = "running";
        break;
    case Action::Kind::stop:
        container->state = "exited";
        break;
    default:
        std::erase_if(host.containers, [&](const ObservedContainer& one) { return one.id == action.container; });
    }
}

/// What no action may ever do.
void Simulation::check_action(const SimulatedHost& host, const Action& action) const {
    if (action.container.empty())
        return;
    const auto container = std::find_if(host.containers.begin(), host.containers.end(),
                                        [&](const ObservedContainer& one) { return one.id == action.container; });
    BOOST_REQUIRE(container != host.containers.end());
    BOOST_TEST(container->store == "store", "touched a container of another fleet");
    const auto unit = fleet_.units.find(action.unit);
    const auto placement = fleet_.placements.find(action.unit);
    const bool stops = action.kind == Action::Kind::stop || action.kind == Action::Kind::remove;
    if (!stops || unit == fleet_.units.end() || unit->second.desired != Desired::launched)
        return;
    // What is wanted here, as it is, and runs, is not stopped.
    const bool here = placement != fleet_.placements.end() && placement->second.hash == unit->second.hash &&
                      action.replica < placement->second.replicas.size() &&
                      placement->second.replicas[action.replica].host == host.id;
    BOOST_TEST(!(here && container->state == "running" && container->hash == unit->second.hash),
               "stopped " << action.unit << "/" << action.replica);
}

void Simulation::check_always() const {
    for (const SimulatedHost& host : hosts_) {
        std::set<Slot> slots;
        for (const ObservedContainer& container : host.containers) {
            if (container.store == "store")
                BOOST_TEST(slots.emplace(container.unit, container.replica).second, "two containers of one replica");
        }
        BOOST_TEST((host.containers.front().store == "another" && host.containers.front().state == "running"));
    }
}

/// At rest everything is as wanted.
void Simulation::check_final() const {
    std::set<std::pair<std::string, Slot>> wanted;
    for (const auto& [name, placement] : fleet_.placements) {
        for (unsigned i = 0; i < placement.replicas.size(); ++i) {
            if (!placement.replicas[i].host.empty())
                wanted.emplace(placement.replicas[i].host, Slot(name, i));
        }
    }
    for (const SimulatedHost& host : hosts_) {
        for (const ObservedContainer& container : host.containers) {
            if (container.store != "store")
                continue;
            BOOST_TEST(wanted.erase({host.id, Slot(container.unit, container.replica)}) == 1U,
                       container.unit << "/" << container.replica << " is on " << host.id);
            const Unit& unit = fleet_.units.at(container.unit);
            BOOST_TEST(container.hash == unit.hash);
            const bool ended = container.state == "exited" && unit.spec.restart == Restart::no;
            if (unit.desired == Desired::launched)
                BOOST_TEST((container.state == "running" || ended), container.state);
            else
                BOOST_TEST((container.state == "exited" || container.state == "created"), container.state);
        }
    }
    BOOST_TEST(wanted.empty());
}

} // namespace

BOOST_AUTO_TEST_SUITE(simulation)

BOOST_AUTO_TEST_CASE(every_history_ends_as_wanted) {
    for (unsigned seed = 0; seed < 300; ++seed) {
        BOOST_TEST_CONTEXT("seed " << seed) {
            Simulation simulation(seed);
            for (int step = 0; step < 120; ++step)
                simulation.step();
            BOOST_REQUIRE_MESSAGE(simulation.settle(), "never comes to rest");
            simulation.check_final();
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
