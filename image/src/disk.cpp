#include "image/disk.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "image/gpt.hpp"

namespace image {
namespace {

constexpr std::uint64_t mebibyte = 1ULL << 20;
using base::sector_size;

constexpr std::uint64_t alignment = mebibyte / sector_size;
constexpr std::uint64_t bios_boot_lba = 2048; // where boot.img looks for core.img
constexpr std::uint64_t bios_boot_sectors = mebibyte / sector_size;
/// Half of it: the updater writes the next core.img beside the one in use.
constexpr std::uint64_t core_sectors = bios_boot_sectors / 2;

struct Layout {
    Partition bios_boot, esp, boot, root;
};

Layout plan(const DiskSpec& spec, const std::string& seed) {
    std::uint64_t next = bios_boot_lba;
    const auto partition = [&](std::string_view type, const std::string& name, std::uint64_t sectors) {
        Partition result{parse_guid(type), derived_guid(seed + " partition " + name), name, next, sectors};
        next += sectors;
        return result;
    };
    Layout layout;
    layout.bios_boot = partition(bios_boot_partition_type, "bios-boot", bios_boot_sectors);
    layout.esp = partition(efi_system_partition_type, "atoll-esp", spec.esp_size / sector_size);
    layout.boot = partition(linux_filesystem_type, "atoll-boot", spec.boot_size / sector_size);
    const std::uint64_t end = spec.size / sector_size - alignment; // the backup table is in the last MiB
    layout.root = partition(linux_filesystem_type, "atoll-root", end - next);
    return layout;
}

void write_bios_loader(int fd, const std::string& path, const BootLoader& loader, const std::string& mbr) {
    const std::string core = base::patch_core_image(loader.core_image, bios_boot_lba);
    if (core.size() > core_sectors * sector_size)
        throw base::Error("GRUB's core image has " + std::to_string(core.size()) +
                          " bytes: more than half of its partition");
    base::write_all_at(fd, core, bios_boot_lba * sector_size, path);
    base::write_all_at(fd, base::patch_boot_image(loader.boot_image, mbr, bios_boot_lba), 0, path);
}

void make_esp(const std::string& disk, const Partition& esp, const std::string& image, const std::string& seed) {
    const base::TempDir directory("esp");
    base::write_durable(directory / "BOOTX64.EFI", image);
    const std::string target = disk + "@@" + std::to_string(esp.offset());
    const std::string serial = format_guid(derived_guid(seed + " esp")).substr(0, 8);
    base::RunOptions options;
    options.spawn.environment = {"MTOOLS_SKIP_CHECK=1", "SOURCE_DATE_EPOCH=315532800"}; // FAT begins in 1980
    base::run_checked({"mformat", "-i", target, "-T", std::to_string(esp.sectors), "-h", "64", "-s", "32", "-v",
                       "ATOLL-ESP", "-N", serial, "::"},
                      options);
    base::run_checked({"mmd", "-i", target, "::/EFI", "::/EFI/BOOT"}, options);
    base::run_checked({"mcopy", "-i", target, directory / "BOOTX64.EFI", "::/EFI/BOOT/BOOTX64.EFI"}, options);
}

void make_ext4(const std::string& disk, const Partition& partition, const std::string& content,
               const std::string& seed) {
    const std::string uuid = format_guid(derived_guid(seed + " file system " + partition.name));
    // GRUB 2.06 reads neither metadata_csum_seed nor orphan_file; 4 KiB blocks also on a small /boot.
    base::run_checked({"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-L", partition.name, "-U", uuid, "-O",
                       "^metadata_csum_seed,^orphan_file", "-E",
                       "offset=" + std::to_string(partition.offset()) + ",hash_seed=" + uuid +
                           ",root_owner=0:0,nodiscard,lazy_itable_init=1,lazy_journal_init=1",
                       "-d", content, disk, std::to_string(partition.bytes() / 1024) + "k"});
}

} // namespace

void make_disk(const DiskRequest& request, const std::string& path) {
    const Layout layout = plan(request.spec, request.seed);
    const std::uint64_t sectors = request.spec.size / sector_size;
    const PartitionTable table = make_partition_table(sectors, derived_guid(request.seed + " disk"),
                                                      {layout.bios_boot, layout.esp, layout.boot, layout.root});

    base::UniqueFd fd = base::open_file(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    base::check(::ftruncate(fd.get(), static_cast<off_t>(request.spec.size)), "truncate " + path);
    base::write_all_at(fd.get(), table.head, 0, path);
    base::write_all_at(fd.get(), table.tail, static_cast<off_t>(request.spec.size - table.tail.size()), path);
    write_bios_loader(fd.get(), path, request.loader, table.head.substr(0, sector_size));
    base::checked_close(std::move(fd), path);

    make_esp(path, layout.esp, request.loader.efi_image, request.seed);
    const std::string boot = request.sysroot + "/boot";
    write_grub_files(boot, request.loader, request.revision);
    make_ext4(path, layout.boot, boot, request.seed);
    base::remove_tree(boot);
    base::make_directories(boot);
    make_ext4(path, layout.root, request.sysroot, request.seed);
}

void convert_to_qcow2(const std::string& raw, const std::string& qcow2) {
    base::run_checked({"qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", raw, qcow2});
}

} // namespace image
