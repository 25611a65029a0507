#include "image/grub.hpp"

#include <filesystem>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/grub_env.hpp"
#include "base/process.hpp"
#include "base/sha256.hpp"

namespace image {
namespace {

constexpr const char* modules_directory = "/usr/lib/grub";
constexpr const char* tree_directory = "usr/lib/atoll/boot-loader/";
constexpr std::size_t max_image = 16UL * 1024 * 1024;
constexpr std::size_t id_digits = 16;

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

std::string make_image(const std::string& platform, const std::vector<std::string>& more, const std::string& prefix) {
    const base::TempDir directory("grub");
    const std::string output = directory / "image";
    std::vector<std::string> argv{"grub-mkimage", "-O", platform, "-p", prefix, "-o", output};
    argv.insert(argv.end(), common_modules.begin(), common_modules.end());
    argv.insert(argv.end(), more.begin(), more.end());
    base::run_checked(argv);
    return base::read_file(output, max_image);
}

void make_images(BootLoader& loader, const std::string& prefix) {
    loader.core_image = base::neutral_core_image(make_image("i386-pc", bios_modules, prefix));
    loader.efi_image = make_image("x86_64-efi", efi_modules, prefix);
}

/// "grub-mkimage (GRUB) 2.06-13+deb12u1": Debian's package version.
std::string grub_version() {
    std::string text = base::run_checked({"grub-mkimage", "--version"});
    text.erase(std::min(text.find('\n'), text.size()));
    text.erase(0, text.find_last_of(' ') + 1);
    if (!base::is_boot_loader_id(text))
        throw base::Error("grub-mkimage --version: no version in its answer");
    return text;
}

/// The images have the identifier in them, so it is made from what they are without one.
std::string make_id(const BootLoader& loader) {
    base::Sha256 digest;
    for (const std::string* image : {&loader.boot_image, &loader.core_image, &loader.efi_image})
        digest.update(base::sha256_hex(*image));
    for (const auto& [path, content] : loader.files)
        digest.update(path + '\0' + base::sha256_hex(content));
    return loader.manifest.version + "-" + digest.finish_hex().substr(0, id_digits);
}

} // namespace

BootLoader make_boot_loader(const std::string& grub_cfg, const std::string& mark) {
    for (const char* platform : {"i386-pc", "x86_64-efi"}) {
        if (!std::filesystem::exists(module_path(platform)))
            throw base::Error(ENOENT, module_path(platform) + " (Debian: grub-pc-bin, grub-efi-amd64-bin)");
    }
    BootLoader loader;
    loader.boot_image = base::read_file(fmt::format("{}/i386-pc/boot.img", modules_directory));
    loader.files["grub.cfg"] = (mark.empty() ? "" : "# " + mark + "\n") + base::read_file(grub_cfg);
    for (const std::string platform : {"i386-pc", "x86_64-efi"})
        loader.files[platform + "/linux.mod"] = base::read_file(module_path(platform));
    base::BootLoaderManifest& manifest = loader.manifest;
    manifest.version = grub_version();
    make_images(loader, std::string(base::grub_prefix));
    manifest.id = make_id(loader);
    make_images(loader, std::string(base::grub_prefix) + "/" + manifest.id);
    manifest.boot = base::sha256_hex(base::neutral_boot_image(loader.boot_image));
    manifest.core = base::sha256_hex(loader.core_image);
    manifest.efi = base::sha256_hex(loader.efi_image);
    for (const auto& [path, content] : loader.files)
        manifest.files[path] = base::sha256_hex(content);
    return loader;
}

void carry_boot_loader(const BootLoader& loader, const Tree& tree) {
    const std::string directory = tree_directory;
    tree.write(directory + base::BootLoaderManifest::file_name, loader.manifest.serialize());
    tree.write(directory + "boot.img", loader.boot_image);
    tree.write(directory + "core.img", loader.core_image);
    tree.write(directory + "BOOTX64.EFI", loader.efi_image);
    for (const auto& [path, content] : loader.files)
        tree.write(directory + "grub/" + path, content);
}

void write_grub_files(const std::string& boot, const BootLoader& loader, const std::string& revision) {
    const std::string own = boot + "/grub/" + loader.manifest.id + "/";
    for (const auto& [path, content] : loader.files) {
        base::make_directories(std::filesystem::path(own + path).parent_path());
        base::write_durable(own + path, content);
    }
    base::write_durable(own + base::BootLoaderManifest::file_name, loader.manifest.serialize());
    base::GrubEnv environment;
    environment.set("ok", revision);
    base::write_durable(boot + "/grub/grubenv", environment.serialize());
    base::write_durable(boot + "/grub/good", environment.serialize()); // the updater's copy
}

} // namespace image
