// Releases on which nobody lives to judge them: the engine does not start, the kernel panics and leaves its last words
// with UEFI's variables. And a machine that hangs.
#include "fallback.hpp"

namespace {

using vm_test::Seconds;

qemu::Rig& rig() {
    static const qemu::RigOptions options = vm_test::rig_options("fallback-unjudged", qemu::Firmware::uefi);
    return vm_test::SharedRig::get(options);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(fallback_unjudged, vm_test::SharedRig::CollectLogs)

BOOST_AUTO_TEST_CASE(engine_that_does_not_start) {
    vm_test::start_unit(rig());
    vm_test::wait_for_unit(rig());
    vm_test::falls_back(rig(), "broken-engine", "engine", Seconds(600));
    vm_test::wait_for_unit(rig());
}

BOOST_AUTO_TEST_CASE(kernel_that_panics_and_its_last_words) {
    vm_test::falls_back(rig(), "broken-kernel", "Kernel panic - not syncing", Seconds(500));
}

// Real-time processes leave PID 1 no time on any CPU: it does not feed the watchdog any more.
BOOST_AUTO_TEST_CASE(hang_that_only_the_watchdog_ends) {
    rig().machine().post("guest-shell --hang-machine");
    rig().machine().wait_rebooted(vm_test::boot_limit);
    rig().wait_good(vm_test::boot_limit);
}

BOOST_AUTO_TEST_SUITE_END()
