#include <boost/test/unit_test.hpp>

#include "fleet_fixture.hpp"

using namespace fleet;
using namespace fleet_test;
using namespace std::chrono_literals;

namespace {

struct Fixture {
    FleetSnapshot fleet;
    std::vector<ObservedContainer> containers;
    std::map<std::string, ImageState> images{{"busybox:1", {.present = true}}};
    std::map<Slot, Failure> failures;
    TimePoint now{1000s};

    Unit& add(const Unit& unit) {
        fleet.units[unit.spec.name] = unit;
        place(unit.spec.name);
        return fleet.units[unit.spec.name];
    }
    void place(const std::string& name, const std::string& host = "here") {
        const Unit& unit = fleet.units.at(name);
        fleet.placements[name] = {unit.hash, std::vector<ReplicaPlacement>(unit.spec.replicas, {host, ""}), 1};
    }
    ObservedContainer& have(const std::string& unit, const std::string& state, unsigned replica = 0) {
        ObservedContainer container;
        container.id = fmt::format("{}-{}-{}", unit, replica, containers.size());
        container.name = container.id;
        container.store = "store";
        container.unit = unit;
        container.replica = replica;
        container.state = state;
        container.launch = 1;
        if (const auto it = fleet.units.find(unit); it != fleet.units.end())
            container.hash = it->second.hash;
        return containers.emplace_back(container);
    }
    Plan plan() { return reconcile({"here", "store", fleet, containers, images, failures, now}); }
    std::vector<std::string> actions() {
        std::vector<std::string> texts;
        for (const Action& action : plan().actions)
            texts.push_back(fmt::format("{} {}/{}{}", to_string(action.kind), action.unit, action.replica,
                                        action.image.empty() ? "" : " " + action.image));
        return texts;
    }
    ReplicaReport report(unsigned replica = 0) {
        for (const ReplicaReport& candidate : plan().replicas) {
            if (candidate.replica == replica)
                return candidate;
        }
        BOOST_FAIL("no report of replica " << replica);
        return {};
    }
};

using Texts = std::vector<std::string>;

} // namespace

BOOST_FIXTURE_TEST_SUITE(reconciler, Fixture)

BOOST_AUTO_TEST_CASE(creates_then_starts_then_rests) {
    add(make_unit("web"));
    BOOST_CHECK(actions() == Texts{"create web/0"});
    have("web", "created");
    BOOST_CHECK(actions() == Texts{"start web/0"});
    containers[0].state = "running";
    BOOST_CHECK(actions().empty());
    BOOST_TEST(report().state == "running");
    BOOST_TEST(report().converged);
}

BOOST_AUTO_TEST_CASE(adopts_after_a_reboot) {
    add(make_unit("web"));
    have("web", "running").restarts = 4;
    BOOST_CHECK(actions().empty());
}

BOOST_AUTO_TEST_CASE(pulls_a_missing_image_once_and_says_what_failed) {
    add(make_unit("web", 2));
    images.clear();
    BOOST_CHECK(actions().empty()); // nothing is known of it yet
    images["busybox:1"] = {};
    BOOST_CHECK(actions() == Texts{"pull web/0 busybox:1"});
    images["busybox:1"].pulling = true;
    BOOST_CHECK(actions().empty());
    BOOST_TEST(report().state == "pulling");
    images["busybox:1"] = {.error = "image not present", .retry_at = now + 1s};
    BOOST_CHECK(actions().empty());
    BOOST_TEST(report(1).error == "image not present");
    BOOST_TEST(!report(1).converged);
    now += 1s;
    BOOST_CHECK(actions() == Texts{"pull web/0 busybox:1"});
}

BOOST_AUTO_TEST_CASE(images_are_asked_for_only_when_a_container_is_to_be_made) {
    Unit& unit = add(make_unit("web"));
    const auto needed = [&] {
        return images_needed({"here", "store", fleet, containers, images, failures, now});
    };
    BOOST_CHECK(needed() == Texts{"busybox:1"});
    have("web", "running");
    BOOST_CHECK(needed().empty());
    edit(unit, "new");
    place("web");
    BOOST_CHECK(needed() == Texts{"busybox:1"});
    fleet.placements.clear();
    BOOST_CHECK(needed().empty());
}

BOOST_AUTO_TEST_CASE(what_ended_is_started_by_its_policy) {
    Unit& unit = add(make_unit("web"));
    ObservedContainer& container = have("web", "exited");
    BOOST_CHECK(actions() == Texts{"start web/0"});
    unit.spec.restart = Restart::no;
    BOOST_CHECK(actions().empty());
    BOOST_TEST(report().state == "exited");
    BOOST_TEST(report().converged);
    container.exit_code = 3;
    BOOST_TEST(report().state == "failed");
    BOOST_TEST(report().detail == "exit code 3");
    unit.launch = 2; // started again
    BOOST_CHECK(actions() == Texts{"remove web/0"});
    container.state = "running";
    BOOST_CHECK(actions().empty());
}

BOOST_AUTO_TEST_CASE(the_engine_restarts_not_the_reconciler) {
    add(make_unit("web"));
    have("web", "restarting").exit_code = 1;
    BOOST_CHECK(actions().empty());
    BOOST_TEST(report().state == "restarting");
    BOOST_TEST(!report().converged);
}

BOOST_AUTO_TEST_CASE(health_decides_about_converged) {
    add(make_unit("web"));
    ObservedContainer& container = have("web", "running");
    for (const auto& [health, converged] :
         std::map<std::string, bool>{{"none", true}, {"healthy", true}, {"starting", false}, {"unhealthy", false}}) {
        container.health = health;
        BOOST_TEST(report().converged == converged, health);
        BOOST_CHECK(actions().empty());
    }
}

BOOST_AUTO_TEST_CASE(without_a_health_command_time_decides) {
    add(make_unit("web"));
    have("web", "running").running_since = now;
    BOOST_TEST(!report().converged);
    now += proving_time;
    BOOST_TEST(report().converged);
}

BOOST_AUTO_TEST_CASE(loaded_stops_and_keeps_the_container) {
    add(make_unit("web")).desired = Desired::loaded;
    BOOST_CHECK(actions() == Texts{"create web/0"});
    have("web", "created");
    BOOST_CHECK(actions().empty());
    for (const char* up : {"running", "paused", "restarting"}) {
        containers[0].state = up;
        BOOST_CHECK(actions() == Texts{"stop web/0"});
    }
    containers[0].state = "exited";
    BOOST_CHECK(actions().empty());
    BOOST_TEST(report().state == "stopped");
    BOOST_TEST(report().converged);
}

BOOST_AUTO_TEST_CASE(what_is_not_wanted_is_stopped_then_removed) {
    const auto gone = [&](const char* why) {
        containers[0].state = "running";
        BOOST_TEST_CONTEXT(why) {
            BOOST_CHECK(actions() == Texts{"stop web/0"});
            containers[0].state = "exited";
            BOOST_CHECK(actions() == Texts{"remove web/0"});
            containers[0].state = "removing";
            BOOST_CHECK(actions().empty());
        }
    };
    Unit& unit = add(make_unit("web"));
    have("web", "running");
    place("web", "elsewhere");
    gone("on another host");
    unit.desired = Desired::inactive;
    gone("inactive");
    fleet.units.clear();
    fleet.placements.clear();
    gone("destroyed");
}

BOOST_AUTO_TEST_CASE(scaled_down_replicas_go) {
    Unit& unit = add(make_unit("web", 2));
    have("web", "running", 0);
    have("web", "running", 1);
    unit.spec.replicas = 1;
    BOOST_CHECK(actions().empty()); // the leader has not placed it anew
    place("web");
    BOOST_CHECK(actions() == Texts{"stop web/1"});
}

BOOST_AUTO_TEST_CASE(nothing_is_removed_before_the_leader_has_spoken) {
    Unit& unit = add(make_unit("web"));
    have("web", "running");
    fleet.placements.clear();
    BOOST_CHECK(actions().empty());
    place("web");
    edit(unit, "new");
    BOOST_CHECK(actions().empty());
}

BOOST_AUTO_TEST_CASE(containers_of_other_fleets_are_left_alone) {
    have("web", "running").store = "another";
    have("", "running");
    BOOST_CHECK(actions().empty());
    BOOST_TEST(plan().foreign.size() == 2U);
    BOOST_TEST(plan().replicas.empty());
}

BOOST_AUTO_TEST_CASE(a_unit_that_cannot_be_read_is_left_alone) {
    fleet.unreadable["web"] = "bad";
    have("web", "running");
    BOOST_CHECK(actions().empty());
}

BOOST_AUTO_TEST_CASE(a_changed_unit_is_replaced) {
    Unit& unit = add(make_unit("web"));
    ObservedContainer& container = have("web", "running");
    edit(unit, "new");
    place("web");
    BOOST_CHECK(actions() == Texts{"stop web/0"});
    container.state = "exited";
    BOOST_CHECK(actions() == Texts{"remove web/0"});
    containers.clear();
    BOOST_CHECK(actions() == Texts{"create web/0"});
}

BOOST_AUTO_TEST_CASE(the_old_one_runs_until_the_new_image_is_there) {
    Unit& unit = add(make_unit("web"));
    have("web", "running");
    unit.spec.image = "web:2";
    unit.hash = unit_hash(unit.spec);
    place("web");
    images["web:2"] = {};
    BOOST_CHECK(actions() == Texts{"pull web/0 web:2"});
    BOOST_TEST(report().state == "running");
    BOOST_TEST(!report().converged);
    images["web:2"] = {.error = "no such image", .retry_at = now + 1s};
    BOOST_CHECK(actions().empty());
    BOOST_TEST(report().error == "no such image");
    images["web:2"] = {.present = true};
    BOOST_CHECK(actions() == Texts{"stop web/0"});
}

BOOST_AUTO_TEST_CASE(replicas_are_replaced_one_after_the_other) {
    Unit& unit = add(make_unit("web", 3));
    for (unsigned i = 0; i < 3; ++i)
        have("web", "running", i);
    edit(unit, "new");
    place("web");
    BOOST_CHECK(actions() == Texts{"stop web/0"});
    containers[0].state = "exited";
    BOOST_CHECK(actions() == Texts{"remove web/0"});
    containers[0].hash = unit.hash; // made anew
    containers[0].state = "created";
    BOOST_CHECK(actions() == Texts{"start web/0"});
    containers[0].state = "running";
    containers[0].health = "starting";
    BOOST_CHECK(actions().empty());
    containers[0].health = "unhealthy"; // a bad specification stops here
    BOOST_CHECK(actions().empty());
    BOOST_TEST(report(1).state == "running");
    BOOST_TEST(!report(1).converged);
    containers[0].health = "healthy";
    BOOST_CHECK(actions() == Texts{"stop web/1"});
}

BOOST_AUTO_TEST_CASE(an_old_one_that_does_not_serve_is_replaced_at_once) {
    Unit& unit = add(make_unit("web", 2));
    have("web", "running", 0);
    have("web", "restarting", 1);
    edit(unit, "new");
    place("web");
    BOOST_CHECK(actions() == Texts{"stop web/1"});
}

BOOST_AUTO_TEST_CASE(failures_wait_longer_and_longer) {
    Unit& unit = add(make_unit("web"));
    failures[{"web", 0}] = {unit.revision(), "port 80 is in use", 1, now + 1s};
    BOOST_CHECK(actions().empty());
    BOOST_TEST(report().error == "port 80 is in use");
    now += 1s;
    BOOST_CHECK(actions() == Texts{"create web/0"});
    BOOST_TEST(report().error == "port 80 is in use");
    failures[{"web", 0}].retry_at = now + 60s;
    ++unit.state_revision; // started again by hand: at once
    BOOST_CHECK(actions() == Texts{"create web/0"});
    BOOST_TEST(report().error.empty());
    BOOST_CHECK(retry_delay(1) == 1s);
    BOOST_CHECK(retry_delay(3) == 4s);
    BOOST_CHECK(retry_delay(1000) == 60s);
}

BOOST_AUTO_TEST_CASE(of_two_containers_of_a_replica_the_right_one_stays) {
    Unit& unit = add(make_unit("web"));
    have("web", "running").hash = "old";
    have("web", "running");
    BOOST_CHECK(actions() == Texts{"stop web/0"});
    BOOST_TEST(plan().actions[0].container == containers[0].id);
    unit.desired = Desired::inactive;
    BOOST_TEST(actions().size() == 1U);
}

BOOST_AUTO_TEST_CASE(dead_ones_are_made_anew) {
    add(make_unit("web"));
    have("web", "dead");
    BOOST_CHECK(actions() == Texts{"remove web/0"});
}

BOOST_AUTO_TEST_SUITE_END()
