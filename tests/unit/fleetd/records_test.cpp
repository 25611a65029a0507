#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "base/files.hpp"
#include "model/records.hpp"

using namespace fleet;

namespace {

UnitSpec full_spec() {
    UnitSpec spec;
    spec.name = "web";
    spec.image = "busybox:1";
    spec.command = {"httpd", "-f"};
    spec.env = {{"A", "1"}, {"B", "\"\n"}};
    spec.ports = {{"127.0.0.1", 80, 8080, "udp"}, {"", 0, 81, "tcp"}};
    spec.mounts = {{"/a", "/b", true}, {"v", "/c", false}};
    spec.restart = Restart::on_failure;
    spec.replicas = 3;
    spec.health = UnitHealth{
        {"true"}, std::chrono::milliseconds(1), std::chrono::milliseconds(2), std::chrono::milliseconds(3), 4};
    return spec;
}

struct StoreFixture {
    base::TempDir directory{"fleet-records"};
    std::unique_ptr<Store> store = open_sqlite_store(directory / "fleet.db");
};

} // namespace

BOOST_AUTO_TEST_SUITE(records)

BOOST_AUTO_TEST_CASE(a_unit_survives_the_round_trip) {
    const Unit unit = parse_unit_record(serialize_unit(full_spec(), "hash", "text: \"\n"), "units/web");
    BOOST_CHECK(unit.spec == full_spec());
    BOOST_TEST(unit.hash == "hash");
    BOOST_TEST(unit.source == "text: \"\n");
    UnitSpec minimal;
    minimal.image = "b";
    BOOST_CHECK(parse_unit_record(serialize_unit(minimal, "h", ""), "units/a").spec == minimal);
}

BOOST_AUTO_TEST_CASE(other_records_survive_the_round_trip) {
    const UnitState state = parse_state_record(serialize_state({Desired::loaded, 7}), "states/web");
    BOOST_CHECK(state.desired == Desired::loaded);
    BOOST_TEST(state.launch == 7);
    const UnitPlacement placement{"hash", {{"h1", ""}, {"", "no room"}}, 0};
    BOOST_TEST(parse_placement_record(serialize_placement(placement), "placements/web").same_as(placement));
    HostReport report{3, "1.0", "gone", {}, {"other"}};
    report.replicas.push_back({.unit = "web",
                               .replica = 2,
                               .state = "running",
                               .health = "healthy",
                               .detail = "d",
                               .error = "e",
                               .container = "c",
                               .hash = "h",
                               .since = "s",
                               .exit_code = -1,
                               .restarts = 5,
                               .converged = true});
    BOOST_CHECK(parse_report_record(serialize_report(report), "reports/h") == report);
}

// What the release after this one may write.
BOOST_AUTO_TEST_CASE(unknown_members_are_ignored) {
    const Unit unit = parse_unit_record(
        R"({"spec":{"image":"b","memory":"64MiB","ports":[{"container":80,"range":3}]},"hash":"h","owner":{}})", "k");
    BOOST_TEST(unit.spec.image == "b");
    BOOST_TEST(unit.spec.ports.at(0).container_port == 80);
    BOOST_CHECK(parse_state_record(R"({"desired":"launched","until":"later"})", "k").desired == Desired::launched);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_understood_is_refused) {
    for (const char* text : {"", "[]", "{}", R"({"spec":{}})", R"({"spec":{"image":"b"}})",
                             R"({"spec":{"image":"b","restart":"sometimes"},"hash":"h"})",
                             R"({"spec":{"image":"b","replicas":-1},"hash":"h"})",
                             R"({"spec":{"image":"b","replicas":1000000},"hash":"h"})",
                             R"({"spec":{"image":"b","ports":[{"container":65536}]},"hash":"h"})"})
        BOOST_CHECK_THROW(parse_unit_record(text, "units/web"), base::Error);
    BOOST_CHECK_THROW(parse_state_record(R"({"desired":"drained"})", "states/web"), base::Error);
}

BOOST_FIXTURE_TEST_CASE(a_snapshot_has_everything, StoreFixture) {
    store->commit({}, {{"units/web", serialize_unit(full_spec(), "hash", "text")},
                       {"states/web", serialize_state({Desired::launched, 2})}});
    const Revision placed = store->put("placements/web", serialize_placement({"hash", {{"h1", ""}}, 0}));
    store->put("hosts/h1", serialize_host({"", "one", "1"}), Lifetime::session);
    store->put("reports/h1", serialize_report({placed, "", "", {}, {}}), Lifetime::session);
    const FleetSnapshot fleet = read_snapshot(*store);
    const Unit& unit = fleet.units.at("web");
    BOOST_CHECK(unit.desired == Desired::launched);
    BOOST_TEST(unit.launch == 2);
    BOOST_TEST(unit.revision() == 1);
    BOOST_TEST(fleet.input_revision == placed);
    BOOST_TEST(fleet.revision == 4);
    BOOST_TEST(fleet.placements.at("web").replicas.at(0).host == "h1");
    BOOST_TEST(fleet.hosts.at("h1").name == "one");
    BOOST_TEST(fleet.reports.at("h1").seen == placed);
}

BOOST_FIXTURE_TEST_CASE(bad_records_do_not_hide_the_good_ones, StoreFixture) {
    store->commit({}, {{"units/good", serialize_unit(full_spec(), "hash", "")},
                       {"states/good", serialize_state({Desired::launched, 1})},
                       {"units/bad", "{"},
                       {"states/bad", serialize_state({Desired::launched, 1})},
                       {"units/later", serialize_unit(full_spec(), "hash", "")},
                       {"states/later", R"({"desired":"drained"})"},
                       {"states/orphan", serialize_state({Desired::launched, 1})},
                       {"something/else", "x"}});
    const FleetSnapshot fleet = read_snapshot(*store);
    BOOST_TEST(fleet.units.size() == 1U);
    BOOST_TEST(fleet.units.contains("good"));
    BOOST_REQUIRE(fleet.unreadable.size() == 2);
    BOOST_TEST(fleet.unreadable.at("bad").find("units/bad") != std::string::npos, fleet.unreadable.at("bad"));
    BOOST_TEST(fleet.unreadable.at("later").find("drained") != std::string::npos, fleet.unreadable.at("later"));
}

BOOST_AUTO_TEST_SUITE_END()
