// Releases that never get as far as the engine, on a machine with BIOS: GRUB counts and falls back alone.
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
    vm_test::falls_back(rig(), "broken-kernel", "boot", Seconds(400));
}

BOOST_AUTO_TEST_CASE(init_that_dies) {
    vm_test::falls_back(rig(), "broken-init", "boot", Seconds(400));
}

BOOST_AUTO_TEST_CASE(the_machine_still_takes_a_good_update) {
    rig().publish(vm_test::images().repository());
    rig().machine().run_checked("updatectl upgrade", Seconds(300));
    rig().reboot();
    BOOST_TEST(rig().version() == "2.0");
}

BOOST_AUTO_TEST_SUITE_END()
