// What is damaged on the disk while the machine is off does not keep it from coming up: each case damages a copy of the
// same disk, on which 1.0 runs and 2.0 is installed, and boots it.
#include "offline_disk.hpp"
#include "shared_rig.hpp"

namespace {

using vm_test::OfflineDisk;
using vm_test::Seconds;

constexpr auto boot = OfflineDisk::boot;
constexpr auto root = OfflineDisk::root;

std::string work_directory() {
    return vm_test::places().out + "/vm/test-self-repair";
}

/// The disk after an upgrade from 1.0 to 2.0 and an ordered power-off, before 2.0 was tried.
const OfflineDisk& prepared_disk() {
    static const OfflineDisk disk = [] {
        qemu::RigOptions options = vm_test::rig_options("self-repair-prepared", qemu::Firmware::bios);
        options.settle_seconds = 2;
        qemu::Rig rig(vm_test::places(), options);
        rig.boot(vm_test::boot_limit);
        rig.publish(vm_test::images().repository());
        rig.machine().run_checked("updatectl upgrade", Seconds(300));
        rig.machine().post("initctl poweroff");
        rig.machine().wait_powered_off(Seconds(240));
        base::make_directories(work_directory());
        const std::string raw = work_directory() + "/prepared.raw";
        base::run_checked({"qemu-img", "convert", "-O", "raw", rig.machine().path("disk.qcow2"), raw});
        return OfflineDisk(raw);
    }();
    return disk;
}

struct Entry {
    std::string file; ///< below /loader/entries of /boot
    std::string text;
    std::string value(const std::string& key) const {
        const std::size_t at = text.find(key) + key.size();
        return text.substr(at, text.find_first_of(" \n", at) - at);
    }
    std::string kernel() const { return value("linux "); }
    std::string initramfs() const { return value("initrd "); }
    std::string revision() const { return value("atoll.rev="); }
    std::string ostree() const { return value("ostree="); }
};

class DamagedMachine {
public:
    /// By UEFI where its driver of the disk may behave otherwise.
    explicit DamagedMachine(qemu::Firmware firmware = qemu::Firmware::bios)
        : disk_(work_directory() + "/disk.raw"), machine_([&] {
              base::run_checked({"cp", "--sparse=always", prepared_disk().path(), disk_.path()});
              qemu::MachineOptions options;
              options.name = "self-repair";
              options.directory = work_directory();
              options.disk = disk_.path();
              options.firmware = firmware;
              options.forward.clear();
              return options;
          }()) {
        for (const std::string& name : disk_.names(boot, "/loader/entries", "ostree-"))
            entries_.push_back({"/loader/entries/" + name, disk_.read(boot, "/loader/entries/" + name)});
        std::sort(entries_.begin(), entries_.end(), [](const Entry& left, const Entry& right) {
            return left.file > right.file; // ostree-2 before ostree-1
        });
        BOOST_TEST_REQUIRE(entries_.size() == 2U);
    }

    const OfflineDisk& disk() const { return disk_; }
    const Entry& newest() const { return entries_.front(); }
    const Entry& older() const { return entries_.back(); }

    std::string newest_deployment() const {
        const std::string directory = "/ostree/deploy/atoll/deploy";
        for (const std::string& name : disk_.names(root, directory, "")) {
            if (!name.ends_with(".origin") ||
                disk_.read(root, directory + "/" + name).find(newest().revision()) == std::string::npos)
                continue;
            return directory + "/" + name.substr(0, name.rfind(".origin"));
        }
        throw base::Error("no deployment of revision " + newest().revision());
    }
    /// The two releases of the rig have the same kernel, and libostree keeps it once: what is damaged is to be of 2.0.
    void newest_has_its_own_kernel() {
        const base::TempDir directory("kernel");
        const std::string home = "/ostree/atoll-own";
        Entry& entry = entries_.front();
        disk_.change(boot, "mkdir " + home);
        for (const std::string& file : {entry.kernel(), entry.initramfs()}) {
            disk_.debugfs(boot, fmt::format("dump {} {}/file", file, directory.path()));
            const std::string copy = home + file.substr(file.rfind('/'));
            disk_.change(boot, fmt::format("write {}/file {}", directory.path(), copy));
            entry.text.replace(entry.text.find(file), file.size(), copy);
        }
        disk_.replace(boot, entry.file, entry.text);
    }
    /// 2.0 has been found good long ago.
    void newest_is_good() {
        base::GrubEnv env = disk_.grub_env();
        env.set("ok", newest().revision());
        disk_.set_grub_env(env);
        base::GrubEnv copy;
        copy.set("ok", newest().revision());
        disk_.replace(boot, "/grub/good", copy.serialize());
    }
    void fails(std::uint64_t sector, bool on_write = false) { errors_.push_back({sector, on_write}); }

    qemu::Machine& power_on() {
        qemu::MachineOptions options = machine_.options();
        options.disk_errors = errors_;
        running_.emplace(options);
        running_->create();
        running_->start();
        return *running_;
    }
    /// Powers on; the release that comes up must be this one.
    qemu::Machine& comes_up_with(const std::string& version) {
        power_on();
        runs(version);
        return *running_;
    }
    /// The release that comes up is this one, healthy and good, and the updater knows the disk.
    void runs(const std::string& version) {
        running_->wait_shell(vm_test::boot_limit);
        try {
            running_->run_until("test -s /run/atoll/good-revision && enginectl health && "
                                "updatectl status --json | grep -Eq '\"busy\": *false'",
                                vm_test::boot_limit);
        } catch (const std::exception&) {
            running_->collect_logs();
            throw;
        }
        BOOST_TEST(running_->run("cat /usr/lib/atoll/image.yaml").output.find(version) != std::string::npos,
                   "another release than " << version << " runs");
        const std::string status = running_->run_checked("updatectl status --json");
        BOOST_TEST(status.find("\"last_error\":\"\"") != std::string::npos, status);
        BOOST_TEST(status.find("\"version\":\"" + version + "\"") != std::string::npos, status);
    }
    /// What the updater says of the release that does not run.
    void says(const std::string& text) {
        const std::string status = running_->run_checked("updatectl status");
        BOOST_TEST(status.find(text) != std::string::npos, "no '" << text << "' in\n" << status);
    }

private:
    OfflineDisk disk_;
    qemu::Machine machine_;
    std::vector<Entry> entries_;
    std::vector<qemu::MachineOptions::DiskError> errors_;
    std::optional<qemu::Machine> running_;
};

} // namespace

BOOST_AUTO_TEST_SUITE(self_repair)

BOOST_AUTO_TEST_CASE(loader_link_that_leads_nowhere) {
    DamagedMachine machine;
    machine.newest_is_good();
    machine.disk().change(boot, "rm /loader");
    machine.disk().change(boot, "symlink /loader loader.9");
    // Power lost between the two sectors of a superblock: the kernel mounts neither.
    machine.disk().tear_superblock(boot);
    machine.disk().tear_superblock(root);
    qemu::Machine& running = machine.power_on();
    for (int file_systems = 0; file_systems < 2; ++file_systems)
        running.wait_console("half written when power was lost", vm_test::boot_limit);
    machine.runs("2.0");
}

BOOST_AUTO_TEST_CASE(missing_links_to_the_deployments) {
    DamagedMachine machine;
    machine.newest_is_good();
    const std::string link = machine.newest().ostree().substr(0, std::string("/ostree/boot.N").size());
    machine.disk().change(root, "rm " + link);
    machine.comes_up_with("2.0");
}

BOOST_AUTO_TEST_CASE(corrupt_newest_boot_entry) {
    DamagedMachine machine;
    machine.newest_is_good();
    machine.disk().replace(boot, machine.newest().file, "\x01{{ \"'$(((\n" + std::string(300, '\0') + "version\n;};");
    machine.comes_up_with("1.0");
}

// On trial, and nothing can be counted: the good one boots.
BOOST_AUTO_TEST_CASE(zeroed_environment_of_grub) {
    DamagedMachine machine(qemu::Firmware::uefi);
    machine.disk().replace(boot, "/grub/grubenv", std::string(1024, '\0'));
    qemu::Machine& running = machine.comes_up_with("1.0");
    running.run_checked("grep -q '^ok=" + machine.older().revision() + "$' /boot/grub/grubenv"); // whole again
}

// The newest is good, and the updater's copy says so.
BOOST_AUTO_TEST_CASE(corrupt_environment_of_grub) {
    DamagedMachine machine;
    machine.newest_is_good();
    machine.disk().replace(boot, "/grub/grubenv",
                           "# GRUB Environment Block\nok=\xff\xfe\\\ntrial" + std::string(970, 'x'));
    qemu::Machine& running = machine.comes_up_with("2.0");
    running.run_checked("grep -q '^ok=" + machine.newest().revision() + "$' /boot/grub/grubenv");
}

BOOST_AUTO_TEST_CASE(missing_newest_kernel) {
    DamagedMachine machine;
    machine.newest_is_good();
    machine.newest_has_its_own_kernel();
    machine.disk().change(boot, "rm " + machine.newest().kernel());
    machine.comes_up_with("1.0");
    machine.says("2.0 (revision " + machine.newest().revision() + ") failed");
}

BOOST_AUTO_TEST_CASE(read_errors_in_the_newest_kernel) {
    DamagedMachine machine(qemu::Firmware::uefi);
    machine.newest_is_good();
    machine.newest_has_its_own_kernel();
    machine.fails(machine.disk().sector_of(boot, machine.newest().kernel(), 500));
    machine.comes_up_with("1.0");
    machine.says("tried once more at the next boot");
}

BOOST_AUTO_TEST_CASE(read_errors_in_the_newest_initramfs) {
    DamagedMachine machine;
    machine.newest_is_good();
    machine.newest_has_its_own_kernel();
    machine.fails(machine.disk().sector_of(boot, machine.newest().initramfs(), 100));
    machine.comes_up_with("1.0");
    machine.says("tried once more at the next boot");
}

BOOST_AUTO_TEST_CASE(newest_deployment_that_cannot_be_started) {
    DamagedMachine machine;
    machine.newest_is_good();
    machine.disk().change(root, "rm " + machine.newest_deployment() + "/usr/bin/init");
    machine.comes_up_with("1.0");
}

BOOST_AUTO_TEST_CASE(tries_of_everything_used_up) {
    DamagedMachine machine;
    base::GrubEnv env = machine.disk().grub_env();
    BOOST_TEST(env.get("ok") == machine.older().revision());
    env.set("trial", machine.newest().revision());
    env.set("tries", "0");
    machine.disk().set_grub_env(env);
    machine.comes_up_with("1.0");
    machine.says("tried once more at the next boot");
}

BOOST_AUTO_TEST_CASE(count_of_tries_that_cannot_be_written) {
    DamagedMachine machine(qemu::Firmware::uefi);
    machine.fails(machine.disk().sector_of(boot, "/grub/grubenv", 0), true);
    machine.comes_up_with("1.0");
    machine.says("could not write its count");
}

BOOST_AUTO_TEST_CASE(power_cuts_while_a_new_release_boots) {
    DamagedMachine machine;
    qemu::Machine& power = machine.power_on();
    // Before stage 1 it cannot be told from a kernel that hangs: the release before runs, but nothing is condemned.
    // (Resets: what GRUB writes is in QEMU's memory until the guest flushes its disk, and would be lost with it.)
    for (const char* left : {"2", "1", "0"}) {
        power.wait_console(std::string("tries left after this one: ") + left, vm_test::boot_limit);
        power.wait_console("Booting Atoll 2.0", vm_test::boot_limit); // the try is written down
        power.reset();
    }
    machine.runs("1.0");
    machine.says("tried once more at the next boot");
    // At the next boot it is. After stage 1 a power cut costs no try.
    power.post("initctl reboot");
    for (int cuts = 0; cuts < 3; ++cuts) {
        power.wait_console("init: stage 2, version", vm_test::boot_limit);
        power.power_cut();
        power.start();
    }
    machine.runs("2.0");
    power.run_checked("grep -q '^ok=" + machine.newest().revision() + "$' /boot/grub/grubenv");
}

BOOST_AUTO_TEST_SUITE_END()
