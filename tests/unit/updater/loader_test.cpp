// The boot loader's places on files that stand for a disk and for a mounted ESP.
#include <boost/test/unit_test.hpp>

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <filesystem>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/grub_env.hpp"
#include "base/sha256.hpp"
#include "updater/boot_loader.hpp"
#include "updater/loader_places.hpp"

namespace {

using namespace updater;
namespace fs = std::filesystem;

constexpr Extent partition{2048, 2048};

/// Images in GRUB's layout, told apart by a letter.
CarriedLoader loader(char letter, std::size_t core_sectors = 3) {
    CarriedLoader made;
    made.boot_image = std::string(512, 'B');
    made.boot_image.replace(0x1fe, 2, "\x55\xaa");
    std::string core(core_sectors * 512, letter);
    core.replace(0x1e8, 24, std::string(24, '\0'));
    core[0x1fc] = static_cast<char>((core_sectors - 1) & 0xff);
    core[0x1fd] = static_cast<char>((core_sectors - 1) >> 8);
    made.core_image = base::neutral_core_image(core);
    made.manifest.version = "1";
    made.manifest.id = std::string("1-") + letter;
    made.efi_image = "MZ (,gpt3)/grub/" + made.manifest.id + std::string(1, '\0') + std::string(3000, letter);
    made.files = {{"grub.cfg", std::string("# ") + letter}, {"i386-pc/linux.mod", "module"}};
    made.manifest.boot = base::sha256_hex(base::neutral_boot_image(made.boot_image));
    made.manifest.core = base::sha256_hex(made.core_image);
    made.manifest.efi = base::sha256_hex(made.efi_image);
    for (const auto& [path, content] : made.files)
        made.manifest.files[path] = base::sha256_hex(content);
    return made;
}

struct Machine {
    base::TempDir directory{"loader"};
    std::string disk = directory / "disk";
    std::string grub = directory / "grub";
    CarriedLoader old = loader('o');
    CarriedLoader fresh = loader('f');
    KnownLoaders known{{old.manifest.id, old.manifest}, {fresh.manifest.id, fresh.manifest}};

    Machine() {
        std::string mbr(512, 'M');
        mbr.replace(0x1fe, 2, "\x55\xaa");
        std::string content = base::patch_boot_image(old.boot_image, mbr, partition.first);
        content.resize(512UL * (partition.first + partition.sectors), 'x');
        const std::string core = base::patch_core_image(old.core_image, partition.first);
        content.replace(512UL * partition.first, core.size(), core);
        base::write_durable(disk, content);
        base::make_directories(grub);
        base::make_directories(directory / "esp/EFI/BOOT");
        base::write_durable(directory / "esp/EFI/BOOT/BOOTX64.EFI", old.efi_image);
    }
    BiosArea area(bool writable = true) const { return {disk, partition, writable}; }
    std::string sectors(std::uint64_t first, std::uint64_t count) const {
        return base::read_file(disk).substr(512 * first, 512 * count);
    }
    void change(std::uint64_t byte, const std::string& data) const {
        std::string content = base::read_file(disk);
        content.replace(byte, data.size(), data);
        base::write_durable(disk, content);
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(loader_places, Machine)

BOOST_AUTO_TEST_CASE(places_take_turns) {
    BOOST_TEST(area().look(known).id == old.manifest.id);
    const std::string before = sectors(partition.first, 1024);
    const std::string table = sectors(0, 1).substr(0x1b8);
    area().install(fresh);
    BOOST_TEST(area().look(known).id == fresh.manifest.id);
    BOOST_TEST(area().spare(known) == old.manifest.id);
    BOOST_TEST(base::core_place(sectors(0, 1)) == 3072U);
    BOOST_TEST(sectors(partition.first, 1024) == before);
    BOOST_TEST(sectors(0, 1).substr(0x1b8) == table);
    area().install(old);
    BOOST_TEST(base::core_place(sectors(0, 1)) == 2048U);
    BOOST_TEST(area().look(known).id == old.manifest.id);
}

BOOST_AUTO_TEST_CASE(what_is_not_ours_is_seen) {
    change(0x20, "other");
    BOOST_TEST((area().look(known).state == LoaderState::foreign));
    change(0x20, "BBBBB");
    BOOST_TEST((area().look(known).state == LoaderState::known));
    change(0x5c, std::string("\x01\0\0\0\0\0\0\0", 8));
    BOOST_TEST((area().look(known).state == LoaderState::foreign));
}

BOOST_AUTO_TEST_CASE(a_damaged_core_image_is_replaced) {
    change(512 * (partition.first + 2), "damage");
    BOOST_TEST((area().look(known).state == LoaderState::unknown));
    area().install(fresh);
    BOOST_TEST(area().look(known).id == fresh.manifest.id);
}

BOOST_AUTO_TEST_CASE(an_empty_boot_sector_is_filled) {
    change(0, std::string(0x1b8, '\0'));
    BOOST_TEST((area().look(known).state == LoaderState::empty));
    area().install(fresh);
    BOOST_TEST(area().look(known).id == fresh.manifest.id);
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_changes_nothing) {
    const std::string before = base::read_file(disk);
    BOOST_CHECK_THROW(area().install(loader('l', 1025)), base::Error);
    BOOST_TEST((base::read_file(disk) == before));
    BOOST_CHECK_THROW(BiosArea(disk, Extent{2048, 8}, false), base::Error);
}

BOOST_AUTO_TEST_CASE(an_old_image_in_both_places_is_left_alone) {
    const std::string core = base::patch_core_image(loader('w', 1100).core_image, partition.first);
    change(512 * partition.first, core);
    BOOST_TEST((area().look(known).state == LoaderState::foreign));
}

BOOST_AUTO_TEST_CASE(the_efi_image_takes_the_old_ones_name) {
    const std::string esp = directory / "esp";
    BOOST_TEST(look_at_efi(esp, known).id == old.manifest.id);
    base::write_durable(esp + "/EFI/BOOT/NEWX64.EFI", "of an update that was cut off");
    install_efi(esp, fresh);
    BOOST_TEST(look_at_efi(esp, known).id == fresh.manifest.id);
    BOOST_TEST(!fs::exists(esp + "/EFI/BOOT/NEWX64.EFI"));
    base::write_durable(esp + "/EFI/BOOT/BOOTX64.EFI", "MZ somebody else's");
    BOOST_TEST((look_at_efi(esp, known).state == LoaderState::foreign));
    base::write_durable(esp + "/EFI/BOOT/BOOTX64.EFI", old.efi_image + "!");
    BOOST_TEST((look_at_efi(esp, known).state == LoaderState::unknown));
    fs::remove(esp + "/EFI/BOOT/BOOTX64.EFI");
    BOOST_TEST((look_at_efi(esp, known).state == LoaderState::empty));
}

BOOST_AUTO_TEST_CASE(without_room_for_the_efi_image_nothing_is_written) {
    const auto no_room = [](const base::Error& error) {
        return error.error() == ENOSPC;
    };
    BOOST_CHECK_EXCEPTION(prepare_efi("/proc", fresh), base::Error, no_room); // 0 bytes are free there
    BOOST_CHECK_EXCEPTION(require_room("/proc", 1), base::Error, no_room);
    // What an update that was cut off left is room.
    base::write_durable(directory / "esp/EFI/BOOT/NEWX64.EFI", "half");
    prepare_efi(directory / "esp", fresh);
    BOOST_TEST(!fs::exists(directory / "esp/EFI/BOOT/NEWX64.EFI"));
}

BOOST_AUTO_TEST_CASE(a_release_that_is_not_good_is_refused_before_anything) {
    Paths paths;
    paths.boot = "/proc"; // on no disk anywhere, which is said next
    paths.boot_loader = directory / "none";
    paths.command_line = directory / "cmdline";
    paths.grub_env = directory / "grubenv";
    const auto says = [&](LoaderJob job, const char* part) {
        BOOST_CHECK_EXCEPTION(run_loader_job(paths, job), base::Error, [&](const base::Error& error) {
            return std::string(error.what()).find(part) != std::string::npos;
        });
    };
    base::GrubEnv environment;
    environment.set("ok", "bb");
    base::write_durable(paths.grub_env, environment.serialize());
    for (const char* line : {"root=LABEL=x atoll.rev=aa", "root=LABEL=x", "atoll.rev=", "xatoll.rev=bb"}) {
        base::write_durable(paths.command_line, line);
        says(LoaderJob::update, "not been found good");
        says(LoaderJob::downgrade, "not been found good");
    }
    says(LoaderJob::look, "partition");
    base::write_durable(paths.command_line, "atoll.rev=bb quiet\n");
    says(LoaderJob::update, "partition");
}

BOOST_AUTO_TEST_CASE(files_are_installed_repaired_and_removed) {
    install_loader_files(grub, old);
    install_loader_files(grub, fresh);
    BOOST_TEST(loaders_in(grub).size() == 2U);
    BOOST_TEST(damaged_file(grub, fresh.manifest).empty());
    verify_loader_files(grub, fresh.manifest);
    base::write_durable(grub + "/" + fresh.manifest.id + "/grub.cfg", "damage");
    BOOST_TEST(damaged_file(grub, fresh.manifest).ends_with("grub.cfg"));
    BOOST_CHECK_THROW(verify_loader_files(grub, fresh.manifest), base::Error);
    install_loader_files(grub, fresh);
    BOOST_TEST(damaged_file(grub, fresh.manifest).empty());
    base::write_durable(grub + "/grubenv", "");
    base::make_directories(grub + "/fonts");
    BOOST_TEST(remove_other_loaders(grub, {fresh.manifest.id}) == std::vector<std::string>{old.manifest.id});
    BOOST_TEST(fs::exists(grub + "/fonts"));
    BOOST_TEST(fs::exists(grub + "/grubenv"));
}

BOOST_AUTO_TEST_CASE(a_carried_loader_is_compared_with_its_manifest) {
    const std::string carried = directory / "carried/";
    BOOST_TEST(!CarriedLoader::load(directory / "carried"));
    base::make_directories(carried + "grub/i386-pc");
    base::write_durable(carried + "manifest.json", fresh.manifest.serialize());
    base::write_durable(carried + "boot.img", fresh.boot_image);
    base::write_durable(carried + "core.img", fresh.core_image);
    base::write_durable(carried + "BOOTX64.EFI", fresh.efi_image);
    for (const auto& [path, content] : fresh.files)
        base::write_durable(carried + "grub/" + path, content);
    BOOST_TEST(CarriedLoader::load(directory / "carried")->manifest.id == fresh.manifest.id);
    for (const char* file : {"boot.img", "core.img", "BOOTX64.EFI", "grub/grub.cfg"}) {
        const std::string content = base::read_file(carried + file);
        base::write_durable(carried + file, "damage");
        BOOST_CHECK_THROW(CarriedLoader::load(directory / "carried"), base::Error);
        base::write_durable(carried + file, content);
    }
}

BOOST_AUTO_TEST_CASE(the_disk_is_found_by_its_boot_partition) {
    struct stat status {};
    BOOST_TEST_REQUIRE(::stat(directory.path().c_str(), &status) == 0);
    const std::string number = fmt::format("{}:{}", ::major(status.st_dev), ::minor(status.st_dev));
    const std::string whole = directory / "sys/devices/vda";
    base::make_directories(directory / "sys/dev/block");
    BOOST_CHECK_THROW(find_boot_disk(directory.path(), directory / "sys", "/dev"), base::Error);
    const auto part = [&](const std::string& name, const std::string& label) {
        base::make_directories(whole + "/" + name);
        base::write_durable(whole + "/" + name + "/partition", "1\n");
        base::write_durable(whole + "/" + name + "/start", "2048\n");
        base::write_durable(whole + "/" + name + "/size", "2048\n");
        base::write_durable(whole + "/" + name + "/uevent", fmt::format("DEVNAME={}\nPARTNAME={}\n", name, label));
    };
    part("vda1", "bios-boot");
    part("vda2", "atoll-esp");
    part("vda3", "atoll-boot");
    base::write_durable(whole + "/uevent", "DEVNAME=vda\n");
    fs::create_directory_symlink(whole + "/vda3", directory / "sys/dev/block/" + number);
    const BootDisk found = find_boot_disk(directory.path(), directory / "sys", "/dev");
    BOOST_TEST(found.device == "/dev/vda");
    BOOST_TEST(found.esp == "/dev/vda2");
    BOOST_TEST(found.bios_boot.value().first == 2048U);
    BOOST_TEST(found.bios_boot.value().sectors == 2048U);
}

BOOST_AUTO_TEST_SUITE_END()
