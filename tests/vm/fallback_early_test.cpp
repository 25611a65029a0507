// A release that never gets as far as stage 1 of init, on a machine with BIOS: GRUB counts and falls back alone.
#include "fallback.hpp"

namespace {

using vm_test::Seconds;

qemu::Rig& rig() {
    return vm_test::SharedRig::get(vm_test::rig_options("fallback-early", qemu::Firmware::bios));
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(fallback_early, vm_test::SharedRig::CollectLogs)

BOOST_AUTO_TEST_CASE(kernel_that_finds_no_init) {
    vm_test::offer(rig(), vm_test::images().make_release("broken-init"));
    rig().machine().run_checked("updatectl upgrade", Seconds(300));
    // Nothing of these boots but GRUB's count is known, as after power cuts: it is tried once more.
    rig().machine().post("initctl reboot");
    rig().wait_fallback("1.0", Seconds(400));
    std::string status = rig().machine().run_checked("updatectl status");
    BOOST_TEST(status.find("no boot got as far as stage 1") != std::string::npos, status);
    BOOST_TEST(status.find("tried once more at the next boot") != std::string::npos, status);
    rig().machine().post("initctl reboot");
    rig().wait_fallback("1.0", Seconds(400));
    status = rig().machine().run_checked("updatectl status");
    BOOST_TEST(status.find("not tried again unless forced") != std::string::npos, status);
    BOOST_TEST(!rig().machine().run("updatectl upgrade", Seconds(120)).ok());
}

BOOST_AUTO_TEST_CASE(the_machine_still_takes_a_good_update) {
    vm_test::offer(rig(), vm_test::images().repository());
    rig().machine().run_checked("updatectl upgrade", Seconds(300));
    rig().reboot();
    BOOST_TEST(rig().version() == "2.0");
}

BOOST_AUTO_TEST_SUITE_END()
