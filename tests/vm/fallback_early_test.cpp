// A release that never gets as far as the engine, on a machine with BIOS: GRUB and stage 1 count, nobody knows why.
#include "fallback.hpp"

namespace {

using vm_test::Seconds;

qemu::Rig& rig() {
    static const qemu::RigOptions options = [] {
        qemu::RigOptions made = vm_test::rig_options("fallback-early");
        made.firmware = qemu::Firmware::bios;
        return made;
    }();
    return vm_test::SharedRig::get(options);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(fallback_early, vm_test::SharedRig::CollectLogs)

BOOST_AUTO_TEST_CASE(kernel_that_panics) {
    vm_test::falls_back(rig(), "broken-kernel", "5 boots got as far as stage 1", Seconds(500));
}

BOOST_AUTO_TEST_CASE(the_machine_still_takes_a_good_update) {
    rig().publish(vm_test::images().repository());
    rig().machine().run_checked("updatectl upgrade", Seconds(300));
    rig().reboot();
    BOOST_TEST(rig().version() == "2.0");
}

BOOST_AUTO_TEST_SUITE_END()
