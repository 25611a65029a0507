#include "crash/damage.hpp"

#include "base/error.hpp"

namespace crash {
namespace {

constexpr std::uint64_t block_sectors = 8;
constexpr const char* deployments = "/ostree/deploy/atoll/deploy";

using Expected = Damage::Expected;

class Finder {
public:
    Finder(const Disk& disk, const char* partition)
        : where_(disk.extents()[find_extent(disk.extents(), partition)]), fs_(disk, where_, Ext4::Reader::kernel) {}

    const Ext4& fs() const noexcept { return fs_; }
    /// All sectors of the file's first block.
    std::vector<std::uint64_t> first_block(Inode inode) const {
        std::vector<std::uint64_t> sectors;
        for (const std::uint64_t block : fs_.blocks(inode)) {
            for (std::uint64_t i = 0; block != 0 && i < block_sectors; ++i)
                sectors.push_back(where_.first + block * block_sectors + i);
            if (!sectors.empty())
                break;
        }
        return sectors;
    }
    std::vector<std::uint64_t> first_block(const std::string& path) const {
        const std::optional<Inode> inode = fs_.resolve(path);
        if (!inode)
            throw base::Error(fmt::format("{}: {} is not there to be damaged", where_.name, path));
        return first_block(*inode);
    }
    /// The last sector of a file.
    std::vector<std::uint64_t> last_sector(const std::string& path) const {
        const Inode inode = fs_.resolve(path).value();
        const std::uint64_t last = (fs_.status(inode).size - 1) / sector_size;
        return {where_.first + fs_.blocks(inode).at(last / block_sectors) * block_sectors + last % block_sectors};
    }

private:
    Extent where_;
    Ext4 fs_;
};

void damage_boot(const Disk& disk, const std::string& loader, std::vector<Damage>& list) {
    const Finder boot(disk, "atoll-boot");
    KernelDigests kernels;
    const GrubView view = view_as_grub(boot.fs(), kernels);
    const BootEntry* next = view.next();
    if (next == nullptr)
        throw base::Error("the disk to be damaged does not boot");
    list.push_back({"kernel", Expected::no_boot, boot.first_block(next->kernel)});
    list.push_back({"end of the kernel", Expected::no_boot, boot.last_sector(next->kernel)});
    list.push_back({"end of the initramfs", Expected::no_boot, boot.last_sector(next->initramfs)});
    for (const char* file : {"grub.cfg", "i386-pc/linux.mod", "x86_64-efi/linux.mod"})
        list.push_back({file, Expected::no_boot, boot.first_block(fmt::format("/grub/{}/{}", loader, file))});
    list.push_back({"grubenv", Expected::no_boot, boot.first_block("/grub/grubenv")});
    Damage entries{"every boot entry", Expected::no_boot, {}};
    for (const char* directory : {"/loader.0/entries", "/loader.1/entries"})
        if (const std::optional<Inode> found = boot.fs().resolve(directory))
            for (const std::uint64_t sector : boot.first_block(*found))
                entries.sectors.push_back(sector);
    list.push_back(std::move(entries));
    list.push_back({"superblock of the boot file system",
                    Expected::no_boot,
                    {disk.extents()[find_extent(disk.extents(), "atoll-boot")].first + 2}});
}

void damage_loader(const Disk& disk, std::vector<Damage>& list) {
    const Esp esp(disk);
    const Fat::Entry image = esp.files.find(efi_image).value();
    const std::vector<std::uint64_t> content = esp.files.sectors(image);
    list.push_back({"boot sector", Expected::no_boot, {0}});
    std::string boot_sector(sector_size, '\0');
    disk.read(0, 1, reinterpret_cast<std::uint8_t*>(boot_sector.data()));
    const std::uint64_t core = base::core_place(boot_sector);
    list.push_back({"core image", Expected::no_boot, {core}});
    list.push_back({"middle of the core image", Expected::no_boot, {core + 50}});
    list.push_back({"superblock of the ESP", Expected::no_boot, {esp.first}});
    list.push_back({"table of the ESP", Expected::no_boot, {esp.first + esp.files.table()}});
    list.push_back(
        {"directory of the EFI image", Expected::no_boot, {esp.first + esp.files.directory_sectors("EFI/BOOT").at(0)}});
    list.push_back({"EFI image", Expected::no_boot, {esp.first + content.at(content.size() / 2)}});
}

void damage_root(const Disk& disk, std::vector<Damage>& list) {
    const Finder root(disk, "atoll-root");
    const std::vector<Name> names = root.fs().list(root.fs().resolve(deployments).value());
    for (const char* path : {"usr/bin/engined", "usr/bin/init"}) {
        Damage file{path, Expected::no_boot, {}};
        for (const Name& name : names)
            if (const std::optional<Inode> inode = root.fs().resolve(path, name.inode))
                for (const std::uint64_t sector : root.first_block(*inode))
                    file.sectors.push_back(sector);
        list.push_back(std::move(file));
    }
    Damage directory{"usr/bin of the deployments", Expected::no_boot, {}};
    Damage etc{"etc/passwd of the deployments", Expected::loss, {}};
    for (const Name& name : names) {
        for (Damage* damage : {&directory, &etc}) {
            const std::optional<Inode> inode = root.fs().resolve(damage == &etc ? "etc/passwd" : "usr/bin", name.inode);
            if (!inode)
                continue;
            for (const std::uint64_t sector : root.first_block(*inode))
                damage->sectors.push_back(sector);
        }
    }
    list.push_back(std::move(directory));
    list.push_back(std::move(etc));
    list.push_back({"links of /ostree", Expected::any, root.first_block("/ostree")});
    list.push_back({"marker under /var", Expected::loss,
                    root.first_block(fmt::format("/ostree/deploy/atoll/var/{}", marker_file))});
    list.push_back({"the updater's record", Expected::loss,
                    root.first_block("/ostree/deploy/atoll/var/lib/atoll/updater/state.json")});
    list.push_back({"superblock of the journal", Expected::any, root.first_block(Ext4::journal)});
    const std::optional<Inode> objects = root.fs().resolve("/ostree/repo/objects");
    for (const char* type : {".commit", ".dirtree", ".dirmeta", ".file"}) {
        Damage object{fmt::format("an object of type {}", type), Expected::any, {}};
        for (const Name& part : root.fs().list(objects.value()))
            for (const Name& name : root.fs().list(part.inode))
                if (object.sectors.empty() && name.name.ends_with(type) && root.fs().status(name.inode).regular() &&
                    root.fs().status(name.inode).size > 0)
                    object.sectors = root.first_block(name.inode);
        list.push_back(std::move(object));
    }
}

} // namespace

std::vector<Damage> possible_damage(const Disk& disk, const std::string& loader) {
    std::vector<Damage> list;
    damage_loader(disk, list);
    damage_boot(disk, loader, list);
    damage_root(disk, list);
    return list;
}

std::vector<std::string> overlooked(Disk& disk, Checker& checker, std::uint64_t& tried) {
    static constexpr std::array<std::uint8_t, sector_size> other{'?', 'd', 'a', 'm', 'a', 'g', 'e', '?'};
    const ContentId content = disk.contents().number(other.data());
    const std::size_t mark = disk.mark();
    std::vector<std::string> missed;
    const Verdict before_all = checker.check(true);
    if (!before_all.ok())
        missed.emplace_back("the disk was damaged before");
    checker.recover(disk);
    for (const Damage& damage : possible_damage(disk, before_all.uefi_loader)) {
        const std::size_t before = disk.mark();
        for (const std::uint64_t sector : damage.sectors)
            disk.write(sector, content);
        const Verdict verdict = checker.check(true);
        const bool found = damage.expected == Expected::no_boot ? !verdict.boot.empty()
                           : damage.expected == Expected::loss  ? verdict.boot.empty() && !verdict.damage.empty()
                                                                : !verdict.ok();
        ++tried;
        if (!found || damage.sectors.empty())
            missed.push_back(damage.name);
        disk.take_back(before);
    }
    disk.take_back(mark);
    return missed;
}

} // namespace crash
