#include "crash/loader_view.hpp"

#include "base/error.hpp"
#include "base/sha256.hpp"

namespace crash {
namespace {

constexpr std::size_t max_file = 16UL << 20U;
constexpr const char* area_name = "bios-boot";
constexpr const char* esp_name = "atoll-esp";
/// The updater's: of an update that was cut off, and removed by the next.
constexpr const char* unfinished_image = "EFI/BOOT/NEWX64.EFI";
constexpr std::size_t partition_table_at = 0x1b8; // of the boot sector
/// A place for core.img begins at a physical sector of 4096 bytes.
constexpr std::uint64_t place_alignment = 8;

std::size_t extent_named(const Disk& disk, const std::string& name) {
    for (std::size_t i = 0; i < disk.extents().size(); ++i)
        if (disk.extents()[i].name == name)
            return i;
    throw base::Error("disk: no partition " + name);
}

} // namespace

Manifests manifests_in(const Ext4& boot) {
    Manifests found;
    const std::optional<Inode> grub = boot.resolve("/grub");
    if (!grub)
        return found;
    for (const Name& name : boot.list(*grub)) {
        const std::string path = fmt::format("/grub/{}/{}", name.name, base::BootLoaderManifest::file_name);
        if (!boot.status(name.inode).directory())
            continue;
        if (const std::optional<Inode> inode = boot.resolve(path))
            found.emplace(name.name,
                          base::BootLoaderManifest::parse(boot.read(*inode, base::BootLoaderManifest::max_size), path));
    }
    return found;
}

std::string damaged_loader_file(const Ext4& boot, const base::BootLoaderManifest& manifest) {
    for (const auto& [file, digest] : manifest.files) {
        const std::string path = fmt::format("/grub/{}/{}", manifest.id, file);
        try {
            const std::optional<Inode> inode = boot.resolve(path);
            if (!inode || base::sha256_hex(boot.read(*inode, max_file)) != digest)
                return path + " is not what was installed";
        } catch (const base::Error& error) {
            return path + ": " + error.what();
        }
    }
    return {};
}

Esp::Esp(const Disk& disk)
    : first(disk.extents()[extent_named(disk, esp_name)].first),
      files(
          [&disk, where = disk.extents()[extent_named(disk, esp_name)]](std::uint64_t sector, std::uint64_t count,
                                                                        std::uint8_t* into) {
              if (sector > where.sectors || count > where.sectors - sector)
                  throw base::Error("ESP: something lies beyond its end");
              disk.read(where.first + sector, count, into);
          },
          disk.extents()[extent_named(disk, esp_name)].sectors) {}

LoaderChecker::LoaderChecker(const Disk& disk)
    : disk_(disk), area_(extent_named(disk, area_name)), esp_(extent_named(disk, esp_name)),
      partition_table_(read(0, 1).substr(partition_table_at)) {}

std::string LoaderChecker::read(std::uint64_t sector, std::uint64_t count) const {
    std::string data(count * sector_size, '\0');
    disk_.read(sector, count, reinterpret_cast<std::uint8_t*>(data.data()));
    return data;
}

LoaderChecker::Found LoaderChecker::look_at_bios() const {
    const Extent& area = disk_.extents()[area_];
    const std::uint64_t half = area.sectors / 2 / place_alignment * place_alignment;
    Found found;
    try {
        const std::string boot_sector = read(0, 1);
        if (boot_sector.substr(partition_table_at) != partition_table_)
            throw base::Error("the partition table in the boot sector is not as it was");
        found.boot = base::sha256_hex(base::neutral_boot_image(boot_sector));
        const std::uint64_t place = base::core_place(boot_sector);
        if (place != area.first && place != area.first + half)
            throw base::Error(fmt::format("the boot sector starts sector {}", place));
        const std::uint64_t sectors = base::core_sectors(read(place, 1), place);
        if (sectors < 2 || sectors > half)
            throw base::Error("the boot sector starts what is no core image");
        found.image = base::sha256_hex(base::neutral_core_image(read(place, sectors)));
    } catch (const base::Error& error) {
        found.damage = error.what();
    }
    return found;
}

LoaderChecker::Found LoaderChecker::look_at_esp() const {
    Found found;
    try {
        const Fat esp = Esp(disk_).files;
        const std::optional<Fat::Entry> image = esp.find(efi_image);
        if (!image)
            throw base::Error(std::string("no ") + efi_image);
        found.image = base::sha256_hex(esp.read(*image, max_file));
        found.damaged_files = esp.contradiction(unfinished_image);
        found.is_half_written = found.damaged_files.empty() && !esp.contradiction().empty();
    } catch (const base::Error& error) {
        found.damage = error.what();
    }
    return found;
}

const LoaderChecker::Found& LoaderChecker::bios() {
    const std::uint64_t outside = disk_.fingerprint(disk_.extents().size());
    const auto [found, is_new] = bios_.try_emplace(mix(outside, disk_.fingerprint(area_)));
    if (is_new)
        found->second = look_at_bios();
    return found->second;
}

const LoaderChecker::Found& LoaderChecker::esp() {
    const auto [found, is_new] = esps_.try_emplace(disk_.fingerprint(esp_));
    if (is_new)
        found->second = look_at_esp();
    return found->second;
}

void LoaderChecker::allow_present(const Manifests& manifests) {
    for (const auto& [id, manifest] : manifests) {
        const bool bios_has = bios().boot == manifest.boot && bios().image == manifest.core;
        const bool esp_has = esp().image == manifest.efi;
        if (bios_has)
            allowed_by_bios_.insert(id);
        if (esp_has)
            allowed_by_uefi_.insert(id);
        if (bios_has || esp_has)
            allowed_.emplace(id, manifest);
    }
}

void LoaderChecker::forget_allowed() {
    allowed_.clear();
    allowed_by_bios_.clear();
    allowed_by_uefi_.clear();
}

LoaderChecker::Started LoaderChecker::by_bios() {
    const Found& found = bios();
    if (!found.damage.empty())
        return {{}, "BIOS: " + found.damage};
    bool is_code = false;
    for (const std::string& id : allowed_by_bios_) {
        const base::BootLoaderManifest& manifest = allowed_.at(id);
        is_code = is_code || manifest.boot == found.boot;
        if (manifest.boot == found.boot && manifest.core == found.image)
            return {id, {}};
    }
    return {{}, is_code ? "BIOS: the core image is neither the old nor the new one" : "BIOS: foreign boot code"};
}

LoaderChecker::Started LoaderChecker::by_uefi() {
    const Found& found = esp();
    if (!found.damage.empty())
        return {{}, "UEFI: " + found.damage};
    for (const std::string& id : allowed_by_uefi_)
        if (allowed_.at(id).efi == found.image)
            return {id, {}};
    return {{}, "UEFI: the image is neither the old nor the new one"};
}

} // namespace crash
