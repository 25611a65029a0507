#include <boost/test/unit_test.hpp>

#include <random>

#include "fleet_fixture.hpp"

using namespace fleet;
using namespace fleet_test;

namespace {

struct Fixture {
    FleetSnapshot fleet;

    explicit Fixture() { add_host("h1"); }
    void add_host(const std::string& id) { fleet.hosts[id] = {id, "name-" + id, "1"}; }
    Unit& add(const Unit& unit) { return fleet.units[unit.spec.name] = unit; }
    void settle() { apply(fleet, schedule(fleet)); }
    std::vector<std::string> hosts_of(const std::string& unit) const {
        std::vector<std::string> hosts;
        for (const ReplicaPlacement& replica : fleet.placements.at(unit).replicas)
            hosts.push_back(replica.host);
        return hosts;
    }
    const std::string& problem_of(const std::string& unit, unsigned replica) const {
        return fleet.placements.at(unit).replicas.at(replica).problem;
    }
};

using Hosts = std::vector<std::string>;

} // namespace

BOOST_FIXTURE_TEST_SUITE(scheduler, Fixture)

BOOST_AUTO_TEST_CASE(places_launched_and_loaded_units_only) {
    add(make_unit("launched"));
    add(make_unit("loaded")).desired = Desired::loaded;
    add(make_unit("inactive")).desired = Desired::inactive;
    settle();
    BOOST_CHECK(hosts_of("launched") == Hosts{"h1"});
    BOOST_CHECK(hosts_of("loaded") == Hosts{"h1"});
    BOOST_TEST(!fleet.placements.contains("inactive"));
}

BOOST_AUTO_TEST_CASE(removes_the_placement_of_what_is_not_wanted) {
    add(make_unit("a"));
    add(make_unit("b"));
    settle();
    fleet.units["a"].desired = Desired::inactive;
    fleet.units.erase("b");
    settle();
    BOOST_TEST(fleet.placements.empty());
}

BOOST_AUTO_TEST_CASE(a_unit_that_cannot_be_read_keeps_its_placement) {
    add(make_unit("a"));
    settle();
    fleet.units.erase("a");
    fleet.unreadable["a"] = "bad";
    BOOST_TEST(schedule(fleet).empty());
}

BOOST_AUTO_TEST_CASE(replicas_with_a_host_port_need_a_host_each) {
    add(make_unit("web", 2, 8080));
    settle();
    BOOST_CHECK((hosts_of("web") == Hosts{"h1", ""}));
    BOOST_TEST(problem_of("web", 1) == "host port 8080/tcp of name-h1 is taken by web replica 0");
    add_host("h2");
    settle();
    BOOST_CHECK((hosts_of("web") == Hosts{"h1", "h2"}));
}

BOOST_AUTO_TEST_CASE(without_a_port_replicas_share_a_host) {
    add(make_unit("web", 3));
    settle();
    BOOST_CHECK((hosts_of("web") == Hosts{"h1", "h1", "h1"}));
}

BOOST_AUTO_TEST_CASE(a_new_unit_does_not_take_a_port_from_a_placed_one) {
    add(make_unit("web", 1, 80));
    settle();
    add(make_unit("api", 1, 80)); // sorts before
    settle();
    BOOST_CHECK(hosts_of("web") == Hosts{"h1"});
    BOOST_CHECK(hosts_of("api") == Hosts{""});
    BOOST_TEST(problem_of("api", 0) == "host port 80/tcp of name-h1 is taken by web replica 0");
}

BOOST_AUTO_TEST_CASE(an_edited_unit_does_not_take_a_port_from_another) {
    add(make_unit("web", 1, 80));
    add(make_unit("api", 1, 81));
    settle();
    fleet.units["api"] = make_unit("api", 1, 80);
    settle();
    BOOST_CHECK(hosts_of("web") == Hosts{"h1"});
    BOOST_CHECK(hosts_of("api") == Hosts{""});
}

BOOST_AUTO_TEST_CASE(spreads_and_stays) {
    add_host("h2");
    add_host("h3");
    add(make_unit("web", 3));
    settle();
    BOOST_CHECK((hosts_of("web") == Hosts{"h1", "h2", "h3"}));
    add(make_unit("api", 1));
    settle();
    fleet.hosts.erase("h2");
    settle();
    BOOST_CHECK((hosts_of("web") == Hosts{"h1", "h3", "h3"})); // h1 has api too
    add_host("h2");
    BOOST_TEST(schedule(fleet).empty()); // what runs well is not moved
}

BOOST_AUTO_TEST_CASE(scaling_keeps_the_first_replicas) {
    add_host("h2");
    add(make_unit("web", 3));
    settle();
    const Hosts before = hosts_of("web");
    fleet.units["web"].spec.replicas = 1;
    settle();
    BOOST_CHECK(hosts_of("web") == Hosts{before[0]});
    fleet.units["web"].spec.replicas = 4;
    settle();
    BOOST_TEST(hosts_of("web").size() == 4U);
    BOOST_TEST(hosts_of("web")[0] == before[0]);
}

BOOST_AUTO_TEST_CASE(without_hosts_everything_waits) {
    fleet.hosts.clear();
    add(make_unit("web"));
    settle();
    BOOST_TEST(problem_of("web", 0) == "there is no host");
}

// Random fleets that change: what holds after every step, for each seed.
BOOST_AUTO_TEST_CASE(invariants_hold_in_random_fleets) {
    for (unsigned seed = 0; seed < 200; ++seed) {
        std::mt19937 random(seed);
        const auto pick = [&](unsigned below) {
            return std::uniform_int_distribution<unsigned>(0, below - 1)(random);
        };
        FleetSnapshot state;
        for (int step = 0; step < 30; ++step) {
            const std::string name = fmt::format("u{}", pick(6));
            const std::string host = fmt::format("h{}", pick(4));
            switch (pick(5)) {
            case 0:
            case 1:
                state.units[name] = make_unit(name, 1 + pick(4), static_cast<std::uint16_t>(pick(3) * 80));
                break;
            case 2:
                state.units.erase(name);
                break;
            case 3:
                state.hosts[host] = {host, host, ""};
                break;
            default:
                state.hosts.erase(host);
            }
            const FleetSnapshot before = state;
            apply(state, schedule(state));
            BOOST_TEST_CONTEXT("seed " << seed << " step " << step) {
                BOOST_TEST(schedule(state).empty()); // done in one go
                std::map<std::string, std::vector<std::pair<PublishedPort, std::string>>> ports;
                for (const auto& [unit_name, unit] : state.units) {
                    const auto& placement = state.placements.at(unit_name);
                    BOOST_REQUIRE_EQUAL(placement.replicas.size(), unit.spec.replicas);
                    for (std::size_t i = 0; i < placement.replicas.size(); ++i) {
                        const ReplicaPlacement& replica = placement.replicas[i];
                        BOOST_TEST(replica.host.empty() != replica.problem.empty());
                        if (replica.host.empty())
                            continue;
                        BOOST_TEST(state.hosts.contains(replica.host));
                        for (const PublishedPort& port : unit.spec.ports) {
                            for (const auto& [other, owner] : ports[replica.host])
                                BOOST_TEST(!ports_conflict(port, other), unit_name << " and " << owner);
                            ports[replica.host].emplace_back(port, unit_name);
                        }
                        // Who was placed for the same specification on a host that is still there stays.
                        const auto old = before.placements.find(unit_name);
                        if (old != before.placements.end() && old->second.hash == unit.hash &&
                            i < old->second.replicas.size() && state.hosts.contains(old->second.replicas[i].host))
                            BOOST_TEST(replica.host == old->second.replicas[i].host);
                    }
                }
                // Nobody waits for a host that would take it.
                for (const auto& [unit_name, unit] : state.units) {
                    for (const ReplicaPlacement& replica : state.placements.at(unit_name).replicas) {
                        for (const auto& [id, taken] : state.hosts) {
                            if (!replica.host.empty())
                                continue;
                            bool conflicts = false;
                            for (const auto& [port, owner] : ports[id])
                                conflicts |= !unit.spec.ports.empty() && ports_conflict(port, unit.spec.ports[0]);
                            BOOST_TEST(conflicts, unit_name << " waits though " << id << " is free");
                        }
                    }
                }
                for (const auto& [unit_name, placement] : state.placements)
                    BOOST_TEST(state.units.contains(unit_name));
            }
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
