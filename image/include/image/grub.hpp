// GRUB for the disk: images by grub-mkimage, and the files in /boot/grub. base/boot_loader.hpp says where they lie.
#pragma once
#include <map>
#include <string>

#include "base/boot_loader.hpp"
#include "image/tree.hpp"

namespace image {

struct BootLoader {
    base::BootLoaderManifest manifest;
    std::string boot_image;                   ///< boot.img, not patched yet
    std::string core_image;                   ///< core.img, for no place yet
    std::string efi_image;                    ///< EFI/BOOT/BOOTX64.EFI
    std::map<std::string, std::string> files; ///< contents of those in the manifest
};

/// The build host's GRUB with this configuration. `mark`: a line of text that only makes it another boot loader. Both
/// images look for (the boot disk, partition 3)/grub/ID. Throws base::Error.
BootLoader make_boot_loader(const std::string& grub_cfg, const std::string& mark);

/// Into the OS tree, for `updatectl bootloader`.
void carry_boot_loader(const BootLoader& loader, const Tree& tree);

/// Fills /boot/grub below `boot`: the boot loader's own directory, and grubenv with `ok=revision` and its copy.
void write_grub_files(const std::string& boot, const BootLoader& loader, const std::string& revision);

} // namespace image
