// GRUB for the disk: images by grub-mkimage, and the files in /boot/grub.
#pragma once
#include <string>

namespace image {

struct GrubImages {
    std::string bios_boot; ///< boot.img, not patched yet
    std::string bios_core; ///< core.img, not patched yet
    std::string efi;       ///< EFI/BOOT/BOOTX64.EFI
};

/// Both look for (the boot disk, partition 3)/grub/grub.cfg.
GrubImages make_grub_images();

/// Fills /boot/grub below `boot`: grub.cfg, grubenv with `ok=revision` and its copy, the modules loaded at run time.
void write_grub_files(const std::string& boot, const std::string& grub_cfg, const std::string& revision);

} // namespace image
