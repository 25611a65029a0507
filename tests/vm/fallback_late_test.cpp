// Releases that boot and are no good: one whose required service stays unhealthy, one without an engine to judge it.
#include "fallback.hpp"

namespace {

using vm_test::Seconds;

qemu::Rig& rig() {
    static const qemu::RigOptions options = [] {
        qemu::RigOptions made = vm_test::rig_options("fallback-late");
        made.trial_seconds = 60; // three boots of the release without an engine wait this long each
        return made;
    }();
    return vm_test::SharedRig::get(options);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(fallback_late, vm_test::SharedRig::CollectLogs)

BOOST_AUTO_TEST_CASE(unhealthy_service_and_the_state_it_wrote) {
    vm_test::start_unit(rig());
    vm_test::wait_for_unit(rig());
    rig().docker_checked(
        {"run", "-d", "--name", "before", "busybox:1", "sh", "-c", "echo from before; exec sleep 100000"});
    vm_test::falls_back(rig(), "broken-service", "unhealthy", Seconds(500), [] {
        // The release on trial writes state of its own: the one before has to read it.
        rig().machine().run_until("enginectl ps", Seconds(60));
        rig().docker_checked(
            {"run", "-d", "--name", "on-trial", "busybox:1", "sh", "-c", "echo on trial; exec sleep 100000"});
        rig().machine().run_checked("echo on-trial >/var/rig-on-trial; sync");
    });
    BOOST_TEST(rig().docker_checked({"logs", "before"}).starts_with("from before"));
    BOOST_TEST(rig().docker_checked({"logs", "on-trial"}).starts_with("on trial"));
    BOOST_TEST(rig().machine().run_checked("cat /var/rig-on-trial") == "on-trial\n");
    rig().docker_checked({"rm", "-f", "before", "on-trial"});
    vm_test::wait_for_unit(rig());
}

BOOST_AUTO_TEST_CASE(engine_that_does_not_start) {
    vm_test::falls_back(rig(), "broken-engine", "engine", Seconds(600));
    vm_test::wait_for_unit(rig());
}

BOOST_AUTO_TEST_SUITE_END()
