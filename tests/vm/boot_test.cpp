// The image boots to healthy services by both firmwares, and powers off in order.
#include "shared_rig.hpp"

namespace {

using vm_test::Seconds;

/// A root shell on the console, and nothing else of ours; its end reboots.
void leaves_by_the_rescue_console(qemu::Machine& machine) {
    machine.wait_console("rescue# ", vm_test::boot_limit);
    machine.type("echo answer=$((6 * 7)) engines=$(pidof engined | wc -w)\n");
    machine.wait_console("answer=42 engines=0", Seconds(60));
    machine.type("sed -i 's/ atoll.rescue//' /boot/loader/entries/*.conf; exit\n");
}

void boots_and_powers_off(qemu::Firmware firmware, const std::string& name) {
    qemu::RigOptions options = vm_test::rig_options(name, firmware);
    qemu::Rig rig(vm_test::places(), options);
    rig.boot(vm_test::boot_limit);
    qemu::Machine& machine = rig.machine();
    BOOST_TEST(rig.version() == "1.0");
    BOOST_TEST((machine.run("test -d /sys/firmware/efi").code == 0) == (firmware == qemu::Firmware::uefi));
    // PID 1 is ours, and the only process it has not started itself is a kernel thread or somebody's child.
    BOOST_TEST(machine.run_checked("cat /proc/1/comm") == "init\n");
    BOOST_TEST(machine.run_checked("initctl status").find("running") != std::string::npos);
    for (const char* service : {"network", "updater", "fleet", "echo"})
        BOOST_TEST(rig.docker_checked({"ps", "-q", "--filter", std::string("label=atoll.system=") + service}).size() >
                       0,
                   service << " does not run");
    // The tree is read-only, /etc and /var are not.
    BOOST_TEST(machine.run("touch /usr/x || touch /x").code != 0);
    machine.run_checked("touch /etc/x /var/x && rm /etc/x /var/x");
    BOOST_TEST(machine.run_checked("cat /proc/sys/kernel/hostname") == name + "\n");

    if (firmware == qemu::Firmware::uefi)
        machine.press_power_button();
    else
        machine.post("initctl poweroff");
    machine.wait_powered_off(Seconds(120));
    // Both file systems were cleanly unmounted: their journals need no recovery at the next mount.
    machine.start();
    rig.wait_good(vm_test::boot_limit);
    BOOST_TEST(machine.run_checked("dmesg | grep -c 'recovery complete' || true") == "0\n");
    if (firmware == qemu::Firmware::bios)
        machine.run_checked("sed -i '/^options/s/$/ atoll.rescue/' /boot/loader/entries/*.conf && sync");
    machine.press_ctrl_alt_del();
    if (firmware == qemu::Firmware::bios)
        leaves_by_the_rescue_console(machine);
    machine.wait_rebooted(vm_test::boot_limit);
}

} // namespace

BOOST_AUTO_TEST_CASE(uefi) {
    boots_and_powers_off(qemu::Firmware::uefi, "boot-uefi");
}

BOOST_AUTO_TEST_CASE(bios) {
    boots_and_powers_off(qemu::Firmware::bios, "boot-bios");
}
