#include "image/initramfs.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "image/archive.hpp"
#include "image/cpio.hpp"

namespace image {
namespace {

constexpr std::size_t max_file = 256UL * 1024 * 1024;
constexpr int compression_level = 19; // GRUB on BIOS reads slowly, the kernel unpacks zstd quickly

void add_parents(CpioWriter& cpio, const std::string& path, std::set<std::string>& made) {
    for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
        if (const std::string parent = path.substr(0, slash); made.insert(parent).second)
            cpio.add_directory(parent);
    }
}

} // namespace

std::string make_initramfs(const BaseSpec& spec, const Tree& tree, const std::string& kernel_version) {
    CpioWriter cpio;
    std::set<std::string> made;
    cpio.add_file("init", base::read_file(tree.host_path("usr/bin/init"), max_file), 0755);
    const std::string modules = "lib/modules/" + kernel_version + "/";
    const ModuleDependencies dependencies = module_dependencies(tree, kernel_version);
    std::string list = "# in load order\n";
    for (const std::string& path : dependencies.load_order(spec.initramfs_modules)) {
        const std::string file = fmt::format("{}{}", modules, path);
        add_parents(cpio, file, made);
        cpio.add_file(file, base::read_file(tree.host_path(fmt::format("usr/{}", file)), max_file));
        list += fmt::format("/{}\n", file);
    }
    cpio.add_file("modules.list", list);
    return compress_zstd(cpio.finish(), compression_level);
}

} // namespace image
