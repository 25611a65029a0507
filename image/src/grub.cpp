#include "image/grub.hpp"

#include <filesystem>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/grub_env.hpp"
#include "base/process.hpp"

namespace image {
namespace {

constexpr const char* modules_directory = "/usr/lib/grub";
constexpr const char* prefix = "(,gpt3)/grub";
constexpr std::size_t max_image = 16UL * 1024 * 1024;

// Everything but `linux` is in the image: on BIOS each file read costs. `linux` must come later, because a command wins
// over a function, and the boot entries are read by a function of this name.
const std::vector<std::string> common_modules{
    "part_gpt", "ext2",   "normal",   "configfile", "test",    "true", "echo",      "sleep", "regexp",   "loadenv",
    "eval",     "reboot", "terminal", "serial",     "minicmd", "boot", "relocator", "video", "video_fb", "mmap"};
const std::vector<std::string> bios_modules{"biosdisk", "vbe"};
const std::vector<std::string> efi_modules{"fat", "efi_gop"};

std::string module_path(const std::string& platform) {
    return fmt::format("{}/{}/linux.mod", modules_directory, platform);
}

std::string make_image(const std::string& platform, const std::vector<std::string>& more) {
    const base::TempDir directory("grub");
    const std::string output = directory / "image";
    std::vector<std::string> argv{"grub-mkimage", "-O", platform, "-p", prefix, "-o", output};
    argv.insert(argv.end(), common_modules.begin(), common_modules.end());
    argv.insert(argv.end(), more.begin(), more.end());
    base::run_checked(argv);
    return base::read_file(output, max_image);
}

} // namespace

GrubImages make_grub_images() {
    for (const char* platform : {"i386-pc", "x86_64-efi"}) {
        if (!std::filesystem::exists(module_path(platform)))
            throw base::Error(ENOENT, module_path(platform) + " (Debian: grub-pc-bin, grub-efi-amd64-bin)");
    }
    return {.bios_boot = base::read_file(fmt::format("{}/i386-pc/boot.img", modules_directory)),
            .bios_core = make_image("i386-pc", bios_modules),
            .efi = make_image("x86_64-efi", efi_modules)};
}

void write_grub_files(const std::string& boot, const std::string& grub_cfg, const std::string& revision) {
    const std::string grub = boot + "/grub";
    for (const char* platform : {"i386-pc", "x86_64-efi"}) {
        base::make_directories(grub + "/" + platform);
        base::write_durable(grub + "/" + platform + "/linux.mod", base::read_file(module_path(platform)));
    }
    base::write_durable(grub + "/grub.cfg", base::read_file(grub_cfg));
    base::GrubEnv environment;
    environment.set("ok", revision);
    base::write_durable(grub + "/grubenv", environment.serialize());
    base::write_durable(grub + "/good", environment.serialize()); // the updater's copy
}

} // namespace image
