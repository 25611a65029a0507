// Releases that boot, are judged and are no good: a required service stays unhealthy, a workload does not survive it.
#include "fallback.hpp"

namespace {

using vm_test::Seconds;

qemu::Rig& rig() {
    static const qemu::RigOptions options = [] {
        qemu::RigOptions made = vm_test::rig_options("fallback-judged", qemu::Firmware::bios);
        made.trial_seconds = 90; // as long each release that boots is given
        made.more_host_yaml =
            "health:\n"
            "  - {name: page, command: [/usr/bin/busybox, test, '!', -e, /usr/share/rig-breaks-page]}\n"
            "  - {name: web, unit: web}\n";
        return made;
    }();
    return vm_test::SharedRig::get(options);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(fallback_judged, vm_test::SharedRig::CollectLogs)

BOOST_AUTO_TEST_CASE(unhealthy_service_and_the_state_it_wrote) {
    vm_test::start_unit(rig());
    vm_test::wait_for_unit(rig());
    rig().docker_checked(
        {"run", "-d", "--name", "before", "busybox:1", "sh", "-c", "echo from before; exec sleep 100000"});
    vm_test::falls_back(rig(), "broken-service", "unhealthy", Seconds(500), [] {
        // The release on trial writes state of its own: the one before has to read it.
        rig().machine().run_until("enginectl ps", vm_test::boot_limit);
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

BOOST_AUTO_TEST_CASE(workload_that_passed_before) {
    vm_test::offer(rig(), vm_test::images().make_release("broken-workload"));
    rig().machine().run_checked("updatectl upgrade", Seconds(300));
    // What passes now counts then.
    for (const char* name : {"page", "web"})
        rig().machine().run_until(std::string("grep -q '\"name\":\"") + name + "\"' /var/lib/atoll/updater/state.json",
                                  vm_test::boot_limit);
    vm_test::falls_back(rig(), "broken-workload", "workload page", Seconds(500));
    vm_test::wait_for_unit(rig());
}

BOOST_AUTO_TEST_SUITE_END()
