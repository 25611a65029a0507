// Updates: refused ones change nothing, good ones keep data and edits, a power cut at the worst moment boots.
#include "shared_rig.hpp"

namespace {

using vm_test::Seconds;
using Signature = qemu::Images::Signature;

qemu::Rig& rig() {
    return vm_test::SharedRig::get(vm_test::rig_options("update"));
}

bool is_staged() {
    return rig().machine().run("updatectl status | grep -q '^staged '").ok();
}

/// `updatectl upgrade` of what is published fails with `word` in its message and nothing is staged or changed.
void is_refused(const std::string& repository, const std::string& word) {
    qemu::Machine& machine = rig().machine();
    const std::string entries = machine.run_checked("cat /boot/loader/entries/*.conf");
    rig().publish(repository);
    const qemu::ShellResult result = machine.run("updatectl upgrade", Seconds(300));
    BOOST_TEST(result.code == 1);
    BOOST_TEST((result.output + result.errors).find(word) != std::string::npos,
               "no '" << word << "' in: " << result.output << result.errors);
    BOOST_TEST(!is_staged());
    BOOST_TEST(machine.run_checked("cat /boot/loader/entries/*.conf") == entries);
}

void upgrade() {
    rig().machine().run_checked("updatectl upgrade", Seconds(300));
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(update, vm_test::SharedRig::CollectLogs)

BOOST_AUTO_TEST_CASE(nothing_newer_is_no_error) {
    const qemu::ShellResult result = rig().machine().run("updatectl check", Seconds(120));
    BOOST_TEST(result.code == 0, result.output << result.errors);
}

BOOST_AUTO_TEST_CASE(unsigned_update_is_refused) {
    is_refused(vm_test::images().make_release("next", Signature::none), "sign");
}

BOOST_AUTO_TEST_CASE(foreign_signature_is_refused) {
    is_refused(vm_test::images().make_release("next", Signature::foreign), "sign");
}

BOOST_AUTO_TEST_CASE(server_that_goes_away_in_the_middle) {
    rig().publish(vm_test::images().repository());
    rig().server().fail_after(30'000);
    const qemu::ShellResult result = rig().machine().run("updatectl upgrade", Seconds(300));
    rig().server().fail_after(std::nullopt);
    BOOST_TEST(result.code == 1);
    BOOST_TEST(!is_staged());
}

BOOST_AUTO_TEST_CASE(upgrade_keeps_data_and_edits) {
    qemu::Machine& machine = rig().machine();
    vm_test::start_unit(rig());
    rig().docker_checked({"network", "create", "--subnet", "10.123.0.0/24", "kept"});
    machine.run_checked("echo data >/var/rig-data; echo early >/etc/rig/edited-by-admin");
    rig().publish(vm_test::images().repository());
    upgrade();
    // The merge happens at shutdown: an edit made after staging counts too.
    machine.run_checked("echo late >/etc/rig/made-by-admin; echo late >>/etc/rig/edited-by-admin");
    rig().reboot();
    BOOST_TEST(rig().version() == "2.0");
    BOOST_TEST(machine.run_checked("cat /var/rig-data") == "data\n");
    BOOST_TEST(machine.run_checked("cat /etc/rig/edited-by-admin") == "early\nlate\n");
    BOOST_TEST(machine.run_checked("cat /etc/rig/made-by-admin") == "late\n");
    BOOST_TEST(machine.run_checked("cat /etc/rig/changed-by-release") == "from the second release\n");
    BOOST_TEST(machine.run_checked("cat /usr/share/rig-next") == "new\n");
    BOOST_TEST(rig().docker_checked({"network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "kept"}) ==
               "10.123.0.0/24");
    vm_test::wait_for_unit(rig());
}

BOOST_AUTO_TEST_CASE(rollback_and_its_state) {
    qemu::Machine& machine = rig().machine();
    machine.run_checked("echo by-second >/var/rig-second");
    machine.run_checked("updatectl rollback", Seconds(120));
    rig().reboot();
    BOOST_TEST(rig().version() == "1.0");
    BOOST_TEST(machine.run("test -e /usr/share/rig-next").code != 0);
    BOOST_TEST(machine.run_checked("cat /var/rig-data /var/rig-second") == "data\nby-second\n");
    vm_test::wait_for_unit(rig());
    BOOST_TEST(machine.run_checked("updatectl history").find("2.0") != std::string::npos);
}

// Cut right after the new boot entries were written: GRUB reads /boot without replaying its journal, and a stock
// libostree deploy is lost here.
BOOST_AUTO_TEST_CASE(power_cut_right_after_the_deployment_is_written) {
    qemu::Machine& machine = rig().machine();
    rig().publish(vm_test::images().repository());
    upgrade();
    machine.run_checked("updaterd --finalize", Seconds(180));
    machine.power_cut();
    machine.start();
    rig().wait_good(vm_test::boot_limit);
    BOOST_TEST(rig().version() == "2.0");
    vm_test::wait_for_unit(rig());
}

BOOST_AUTO_TEST_CASE(power_cut_in_normal_work) {
    qemu::Machine& machine = rig().machine();
    machine.run_checked("sync; echo synced >/var/rig-synced; sync; echo lost-or-not >/var/rig-unsynced");
    machine.power_cut();
    machine.start();
    rig().wait_good(vm_test::boot_limit);
    BOOST_TEST(rig().version() == "2.0");
    BOOST_TEST(machine.run_checked("cat /var/rig-synced") == "synced\n");
    vm_test::wait_for_unit(rig());
}

BOOST_AUTO_TEST_SUITE_END()
