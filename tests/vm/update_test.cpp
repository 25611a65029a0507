// Updates: refused ones change nothing, good ones keep data and edits, a power cut at the worst moment boots.
#include <functional>

#include "base/files.hpp"
#include "base/process.hpp"
#include "shared_rig.hpp"

namespace {

using vm_test::Seconds;
using Signature = qemu::Images::Signature;

qemu::Rig& rig() {
    return vm_test::SharedRig::get(vm_test::rig_options("update", qemu::Firmware::bios));
}

constexpr const char* stream = "atoll/x86_64/stable";

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

namespace fs = std::filesystem;

/// A copy of the repository with the second release, without static deltas when told so, to spoil.
std::string copy_repository(const std::string& name, bool deltas) {
    const qemu::Places& places = vm_test::places();
    const std::string copy = places.out + "/vm/" + name;
    base::remove_tree(copy);
    // Hard links: what is changed is written anew.
    base::run_checked({"cp", "-al", vm_test::images().repository(), copy});
    if (!deltas)
        base::run_checked({places.binaries + "/mkimage", "channel", copy, "--stream", stream, "--no-deltas",
                           "--expires-days", "3650", "--key", vm_test::images().key("release")});
    return copy;
}

/// The second release, offered anew: a host that has seen the spoiled ones takes no older channel file.
const std::string& second_release() {
    static const std::string made = [] {
        const std::string copy = copy_repository("offered-again", true);
        vm_test::images().offer_anew(copy);
        return copy;
    }();
    return made;
}

/// Replaces the largest file below `directory` that has this name's end and is not in `but_not`.
void replace_largest(const std::string& directory, const std::string& end, const std::string& but_not,
                     const std::function<std::string(std::string)>& change) {
    fs::path largest;
    for (const auto& file : fs::recursive_directory_iterator(directory)) {
        const std::string name = file.path().lexically_relative(directory);
        if (file.is_regular_file() && name.ends_with(end) && !name.ends_with("superblock") &&
            (but_not.empty() || !fs::exists(but_not + "/" + name)) &&
            (largest.empty() || file.file_size() > fs::file_size(largest)))
            largest = file.path();
    }
    base::write_durable(largest, change(base::read_file(largest, std::size_t{1} << 30U)));
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
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

BOOST_AUTO_TEST_CASE(spoiled_objects_and_deltas_are_refused) {
    const auto spoil = [](std::string bytes) {
        bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x55);
        return bytes;
    };
    const auto inflate = [](std::string bytes) {
        return bytes + std::string(20'000'000, 'x');
    };
    const std::string objects = vm_test::images().first_repository() + "/objects";
    std::string repository = copy_repository("spoiled-delta", true);
    replace_largest(repository + "/deltas", "", {}, spoil);
    is_refused(repository, "bytes that were announced");
    repository = copy_repository("large-delta", true);
    replace_largest(repository + "/deltas", "", {}, inflate);
    is_refused(repository, "larger than the");
    repository = copy_repository("spoiled-object", false);
    replace_largest(repository + "/objects", ".filez", objects, spoil);
    is_refused(repository, "Writing content object");
    repository = copy_repository("large-object", false);
    replace_largest(repository + "/objects", ".filez", objects, inflate);
    is_refused(repository, "an object is larger than the");
}

BOOST_AUTO_TEST_CASE(too_little_space_is_refused) {
    qemu::Machine& machine = rig().machine();
    machine.run_checked(
        "busybox fallocate -l $(($(stat -f -c '%a * %S' /var | sed 's/^/(/; s/$/) - 20000000/'))) /var/filler");
    is_refused(second_release(), "missing");
    // What judges and goes back does not need the space.
    machine.run_checked("updatectl status && updatectl mark-good && rm /var/filler");
}

BOOST_AUTO_TEST_CASE(server_that_goes_away_in_the_middle) {
    rig().publish(second_release());
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
    machine.run_checked("echo data >/var/rig-data; echo early >/etc/rig/edited-by-admin; "
                        "echo 'admin:x:1000:1000::/var:/bin/sh' >>/etc/passwd");
    // What root asked for goes along with the release that comes: kernel arguments, and a deployment that stays.
    machine.run_checked("updatectl kargs --append rig.kept=1");
    BOOST_TEST(has(machine.run("updatectl kargs --append 'a;b'").errors, "must not be in a boot entry"));
    machine.run_checked("updatectl pin booted", Seconds(120));
    BOOST_TEST(machine.run("updatectl rebase atoll/x86_64/none", Seconds(120)).code == 1);
    rig().publish(second_release());
    BOOST_TEST(machine.run_checked("updatectl check --json", Seconds(120)).find("\"delta\":true") != std::string::npos);
    upgrade();
    BOOST_TEST(has(machine.run_checked("updatectl diff", Seconds(120)), "/usr/share/rig-next"));
    const std::string report = machine.run_checked("updatectl etc-diff", Seconds(120));
    BOOST_TEST(has(report, "modified /etc/passwd"), report);
    BOOST_TEST(has(report, "CONFLICT, changed on both sides (1)\n  /etc/rig/edited-by-admin"), report);
    // The merge happens at shutdown: an edit made after staging counts too.
    machine.run_checked("echo late >/etc/rig/made-by-admin; echo late >>/etc/rig/edited-by-admin");
    rig().reboot();
    BOOST_TEST(rig().version() == "2.0");
    BOOST_TEST(machine.run_checked("cat /var/rig-data") == "data\n");
    BOOST_TEST(machine.run_checked("cat /etc/rig/edited-by-admin") == "early\nlate\n");
    BOOST_TEST(machine.run_checked("cat /etc/rig/made-by-admin") == "late\n");
    BOOST_TEST(machine.run_checked("cat /etc/rig/changed-by-release") == "from the second release\n");
    BOOST_TEST(machine.run_checked("cat /usr/share/rig-next") == "new\n");
    BOOST_TEST(machine.run("grep -q '^admin:' /etc/passwd && grep -q '^root:' /etc/passwd").ok());
    BOOST_TEST(machine.run("grep -q ' rig.kept=1' /proc/cmdline").ok());
    BOOST_TEST(has(machine.run_checked("updatectl status"), "/etc/rig/edited-by-admin was changed here"));
    BOOST_TEST(has(machine.run_checked("updatectl status --json"), "\"pinned\":true"));
    BOOST_TEST(has(machine.run_checked("updatectl cleanup --keep 1", Seconds(120)), "nothing to remove"));
    machine.run_checked("updatectl unpin 1.0", Seconds(120));
    BOOST_TEST(rig().docker_checked({"network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "kept"}) ==
               "10.123.0.0/24");
    vm_test::wait_for_unit(rig());
}

// As a libostree leaves it that is killed between FIFREEZE and FITHAW; whoever writes there then waits for ever.
BOOST_AUTO_TEST_CASE(boot_left_frozen_is_thawed_by_the_updater) {
    qemu::Machine& machine = rig().machine();
    machine.run_checked("busybox fsfreeze --freeze /boot && busybox killall -9 updaterd");
    machine.run_until("enginectl logs updater 2>&1 | grep -q '/boot had been left frozen and was thawed'",
                      vm_test::boot_limit);
    BOOST_TEST(!machine.run("busybox fsfreeze --unfreeze /boot").ok()); // it is not frozen
    machine.run_checked("touch /boot/written && sync -f /boot/written && rm /boot/written", Seconds(120));
    machine.run_until("updatectl status --json | grep -Eq '\"busy\": *false'", vm_test::boot_limit);
}

BOOST_AUTO_TEST_CASE(rollback_and_its_state) {
    qemu::Machine& machine = rig().machine();
    machine.run_checked("echo by-second >/var/rig-second");
    machine.run_checked("updatectl rollback", Seconds(120));
    // init thaws it too, before what is written there at shutdown.
    machine.run_checked("busybox fsfreeze --freeze /boot");
    rig().reboot();
    BOOST_TEST(machine.console().tail(400).find("thawed /boot") != std::string::npos);
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
    rig().publish(second_release());
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
