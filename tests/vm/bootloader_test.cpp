// The boot loader is replaced by the one that the second release carries, and starts the machine by UEFI and by BIOS
// from the same disk; another one's is left alone.
#include <optional>

#include "base/json.hpp"
#include "offline_disk.hpp"
#include "shared_rig.hpp"

namespace {

using vm_test::OfflineDisk;
using vm_test::Seconds;

qemu::Rig& rig() {
    return vm_test::SharedRig::get(vm_test::rig_options("bootloader", qemu::Firmware::uefi));
}

struct Status {
    explicit Status(const std::string& text) : document(base::parse_json(text, "status")) {}
    base::JsonObject object() const { return {document, "status"}; }
    std::string get(const char* key) const { return object().string(key); }
    std::string get(const char* place, const char* key) const { return object().object(place).value().string(key); }
    base::json::value document;
};

Status status(qemu::Machine& machine) {
    return Status(machine.run_checked("updatectl bootloader status --json"));
}

void is_refused(qemu::Machine& machine, const std::string& word) {
    const qemu::ShellResult result = machine.run("updatectl bootloader update");
    BOOST_TEST(result.code == 1);
    BOOST_TEST(result.errors.find(word) != std::string::npos, "no '" << word << "' in: " << result.errors);
}

/// The disk of the machine, which is off, as a raw image of its own.
std::string raw_disk(qemu::Machine& machine) {
    const std::string path = machine.path("off.raw");
    base::run_checked({"qemu-img", "convert", "-O", "raw", machine.path("disk.qcow2"), path});
    return path;
}

std::string updated; ///< identifier

} // namespace

BOOST_AUTO_TEST_SUITE(bootloader)

BOOST_AUTO_TEST_CASE(a_fresh_disk_has_the_images_own) {
    const Status before = status(rig().machine());
    BOOST_TEST(before.get("update") == "current");
    BOOST_TEST(before.get("firmware") == "uefi");
    for (const char* place : {"bios", "esp"}) {
        BOOST_TEST(before.get(place, "state") == "known");
        BOOST_TEST(before.get(place, "id") == before.get("carried", "id"));
    }
    BOOST_TEST(before.get("booted_by") == before.get("carried", "id"));
    const std::string said = rig().machine().run_checked("updatectl bootloader update");
    BOOST_TEST(said.find("nothing to do") != std::string::npos, said);
}

BOOST_AUTO_TEST_CASE(not_while_a_release_is_staged) {
    rig().publish(vm_test::images().repository());
    rig().machine().run_checked("updatectl upgrade", Seconds(300));
    is_refused(rig().machine(), "staged");
    rig().reboot();
    BOOST_TEST_REQUIRE(rig().version() == "2.0");
}

BOOST_AUTO_TEST_CASE(an_older_one_only_when_told_so) {
    qemu::Machine& machine = rig().machine();
    // What is on the disk says that it is newer than the image's.
    machine.run_checked("sed -i 's/\"version\": *\"[^\"]*\"/\"version\":\"999.1\"/' /boot/grub/" +
                        status(machine).get("bios", "id") + "/manifest.json");
    BOOST_TEST(status(machine).get("update") == "older");
    is_refused(machine, "downgrade");
}

BOOST_AUTO_TEST_CASE(the_booted_images_is_installed) {
    qemu::Machine& machine = rig().machine();
    const Status before = status(machine);
    updated = before.get("carried", "id");
    BOOST_TEST(before.get("bios", "id") != updated);
    BOOST_TEST(before.get("booted_by") == before.get("esp", "id"));

    const std::string said = machine.run_checked("updatectl bootloader update --allow-downgrade");
    BOOST_TEST(said.find("BIOS: installed") != std::string::npos, said);
    BOOST_TEST(said.find("UEFI: installed") != std::string::npos, said);
    const Status after = status(machine);
    BOOST_TEST(after.get("update") == "current");
    for (const char* place : {"bios", "esp"})
        BOOST_TEST(after.get(place, "id") == updated);
    const std::string text = machine.run_checked("updatectl bootloader status; updatectl history");
    BOOST_TEST(text.find(updated + " installed: bios, esp") != std::string::npos, text);
    // The old one's core image is still in its place: so are its files.
    machine.run_checked("test -e /boot/grub/" + before.get("bios", "id") + "/grub.cfg");

    rig().reboot();
    BOOST_TEST(status(machine).get("booted_by") == updated);
    BOOST_TEST(rig().version() == "2.0");
}

BOOST_AUTO_TEST_CASE(it_starts_by_bios_too_and_a_foreign_one_is_left_alone) {
    qemu::Machine& first = rig().machine();
    first.post("initctl poweroff");
    first.wait_powered_off(Seconds(240));
    const std::string disk = raw_disk(first);
    const base::TempDir directory("foreign");
    base::write_durable(directory / "BOOTX64.EFI", "MZ somebody else's");
    base::run_checked({"mcopy", "-o", "-i", fmt::format("{}@@{}", disk, OfflineDisk(disk).offset(OfflineDisk::esp)),
                       directory / "BOOTX64.EFI", "::/EFI/BOOT/BOOTX64.EFI"},
                      {.spawn = {.environment = {"MTOOLS_SKIP_CHECK=1"}}});

    qemu::MachineOptions options;
    options.name = "bootloader-bios";
    options.directory = vm_test::places().out + "/vm/test-bootloader-bios";
    options.disk = disk;
    options.firmware = qemu::Firmware::bios;
    options.forward.clear();
    qemu::Machine machine(options);
    machine.create();
    machine.start();
    machine.wait_shell(vm_test::boot_limit);
    machine.run_until("updatectl status --json | grep -Eq '\"busy\": *false'", Seconds(120));
    const Status found = status(machine);
    BOOST_TEST(found.get("firmware") == "bios");
    BOOST_TEST(found.get("booted_by") == updated);
    BOOST_TEST(found.get("bios", "id") == updated);
    BOOST_TEST(found.get("esp", "state") == "foreign");
    BOOST_TEST(found.get("update") == "refused");
    is_refused(machine, "another boot loader");
}

BOOST_AUTO_TEST_SUITE_END()
