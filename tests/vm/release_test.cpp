// The image of the last release takes this tree's as an upgrade, and still reads its state when it is rolled back.
// Builds that release first, so it is among the long tests.
#include "base/files.hpp"
#include "base/process.hpp"
#include "shared_rig.hpp"

namespace {

using vm_test::Seconds;

std::string former_disk() {
    const std::string source = vm_test::places().source;
    const std::string commit = base::read_file(source + "/tests/vm/last-release");
    base::RunOptions options;
    options.timeout = std::chrono::minutes(40);
    const std::string path =
        base::run_checked({source + "/qemu/former-release", commit.substr(0, commit.find('\n'))}, options);
    return path.substr(0, path.find('\n'));
}

qemu::Rig& rig() {
    qemu::RigOptions options = vm_test::rig_options("release", qemu::Firmware::uefi);
    options.disk = former_disk();
    return vm_test::SharedRig::get(options);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(release, vm_test::SharedRig::CollectLogs)

BOOST_AUTO_TEST_CASE(the_last_release_is_upgraded_to_this_tree) {
    qemu::Machine& machine = rig().machine();
    BOOST_TEST(rig().version() == "1.0");
    vm_test::start_unit(rig());
    vm_test::wait_for_unit(rig());
    machine.run_checked("echo data >/var/rig-data; echo edited >/etc/rig/edited-by-admin");
    rig().publish(vm_test::images().repository());
    machine.run_checked("updatectl upgrade", Seconds(300));
    rig().reboot();
    BOOST_TEST(rig().version() == "2.0");
    BOOST_TEST(machine.run_checked("cat /var/rig-data /etc/rig/edited-by-admin") == "data\nedited\n");
    vm_test::wait_for_unit(rig());
}

BOOST_AUTO_TEST_CASE(and_reads_what_this_tree_wrote_when_it_comes_back) {
    qemu::Machine& machine = rig().machine();
    machine.run_checked("updatectl rollback", Seconds(120));
    rig().reboot();
    BOOST_TEST(rig().version() == "1.0");
    vm_test::wait_for_unit(rig());
    BOOST_TEST(machine.run_checked("updatectl history").find("2.0") != std::string::npos);
    // The way back is still there.
    machine.run_checked("updatectl rollback", Seconds(120));
    rig().reboot();
    BOOST_TEST(rig().version() == "2.0");
    vm_test::wait_for_unit(rig());
}

BOOST_AUTO_TEST_SUITE_END()
