#include "image/boot_sector.hpp"

#include "base/error.hpp"

namespace image {
namespace {

void put_u64(std::string& bytes, std::size_t offset, std::uint64_t value) {
    for (std::size_t i = 0; i < 8; ++i)
        bytes[offset + i] = static_cast<char>(value >> (8 * i));
}

} // namespace

std::string patch_boot_image(std::string boot_image, const std::string& mbr, std::uint64_t core_lba) {
    if (boot_image.size() != sector_size || boot_image.compare(0x1fe, 2, "\x55\xaa") != 0)
        throw base::Error("GRUB's boot.img: not a boot sector of 512 bytes");
    if (mbr.size() != sector_size)
        throw base::Error("partition table: first sector has " + std::to_string(mbr.size()) + " bytes");
    put_u64(boot_image, 0x5c, core_lba);
    boot_image.replace(0x66, 2, "\x90\x90");
    boot_image.replace(0x1b8, sector_size - 0x1b8, mbr, 0x1b8, sector_size - 0x1b8);
    return boot_image;
}

std::string patch_core_image(std::string core_image, std::uint64_t core_lba) {
    if (core_image.size() < 2 * sector_size)
        throw base::Error("GRUB's core image: only " + std::to_string(core_image.size()) + " bytes");
    put_u64(core_image, 0x1f4, core_lba + 1);
    core_image.resize((core_image.size() + sector_size - 1) / sector_size * sector_size, '\0');
    return core_image;
}

} // namespace image
