#include "image/os_tree.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "base/sha256.hpp"
#include "image/container.hpp"
#include "image/elf.hpp"
#include "image/initramfs.hpp"
#include "image/kernel_modules.hpp"
#include "image/tree_path.hpp"

namespace image {
namespace {

constexpr const char* keys_directory = "usr/share/ostree/trusted.ed25519.d/";
constexpr const char* revoked_directory = "usr/share/ostree/revoked.ed25519.d/";
constexpr std::size_t missing_shown = 10;

std::string yaml_quoted(const std::string& text) {
    std::string quoted = "'";
    for (const char c : text)
        quoted += c == '\'' ? std::string("''") : std::string(1, c);
    return quoted + "'";
}

void write_identity(const OsTreeInput& input, const Tree& tree) {
    const ImageSpec& spec = input.spec;
    std::string title = spec.name;
    title[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(title[0])));
    tree.write("usr/lib/os-release", "NAME=\"" + title + "\"\nID=" + spec.name + "\nVERSION_ID=\"" + spec.version +
                                         "\"\nPRETTY_NAME=\"" + title + " " + spec.version + "\"\n");
    tree.symlink("usr/etc/os-release", "../usr/lib/os-release");
    std::string text = "name: " + spec.name + "\nversion: " + yaml_quoted(spec.version) + "\nref: " + spec.ref +
                       "\nkernel_arguments:\n";
    for (const std::string& argument : spec.kernel_arguments)
        text += "  - " + yaml_quoted(argument) + "\n";
    if (input.key_set)
        text += fmt::format("update: {{threshold: {}, keys_version: {}}}\n", input.key_set->threshold,
                            input.key_set->version);
    tree.write("usr/lib/atoll/image.yaml", text);
    // What `updatectl diff` compares.
    std::string packages;
    for (const LockedPackage& package : input.lock.packages)
        packages += package.name + " " + package.version + "\n";
    tree.write("usr/lib/atoll/packages", packages);
}

void write_keys(const OsTreeInput& input, const Tree& tree) {
    tree.make_directories(std::string(keys_directory).substr(0, std::string_view(keys_directory).size() - 1));
    std::string text;
    for (const std::string& key : input.key_set ? input.key_set->keys : input.public_keys)
        text += key + "\n";
    std::string revoked;
    for (const std::string& key : input.key_set ? input.key_set->revoked : std::vector<std::string>())
        revoked += key + "\n";
    if (!revoked.empty()) {
        tree.make_directories(std::string(revoked_directory).substr(0, std::string_view(revoked_directory).size() - 1));
        tree.write(std::string(revoked_directory) + input.spec.name, revoked);
    }
    for (const std::string& path : input.spec.trusted_keys) {
        for (const std::string& key : load_public_keys(path))
            text += key + "\n";
    }
    if (!text.empty())
        tree.write(std::string(keys_directory) + input.spec.name, text);
}

void write_modules_list(const ImageSpec& spec, const Tree& tree, const std::string& kernel_version) {
    const ModuleDependencies dependencies = module_dependencies(tree, kernel_version);
    std::string text = "# loaded by init in stage 2, in this order\n";
    for (const std::string& module : spec.base.loaded_modules) {
        if (dependencies.has(module)) // else built into the kernel
            text += module + "\n";
    }
    tree.write("usr/lib/atoll/modules.list", text);
}

void make_top_level(const Tree& tree) {
    for (const char* name : {"proc", "sys", "dev", "run", "tmp", "var", "sysroot", "boot"})
        tree.make_directories(name);
    tree.symlink("ostree", "sysroot/ostree");
    tree.symlink("home", "var/home");
    tree.symlink("root", "var/roothome");
    tree.symlink("opt", "var/opt");
    tree.symlink("mnt", "var/mnt");
    tree.make_directories("usr/etc");
}

void make_linker_cache(const Tree& tree) {
    tree.write("usr/etc/ld.so.conf", "# Debian's directories are built into the dynamic linker.\n");
    // -X: packages bring their links; -i: no cache of ldconfig's own.
    base::run_checked(
        {"ldconfig", "-i", "-X", "-r", tree.root(), "-f", "/usr/etc/ld.so.conf", "-C", "/usr/etc/ld.so.cache"});
    tree.remove("var");
    base::check(::chmod(tree.host_path("usr/etc/ld.so.cache").c_str(), 0644), "chmod ld.so.cache");
}

void check_libraries(const Tree& tree) {
    const std::vector<std::string> missing = find_missing_libraries(tree.root());
    if (missing.empty())
        return;
    std::string text = "the tree is not complete; add packages, or drop what needs them:";
    for (std::size_t i = 0; i < std::min(missing.size(), missing_shown); ++i)
        text += "\n  " + missing[i];
    if (missing.size() > missing_shown)
        text += "\n  and " + std::to_string(missing.size() - missing_shown) + " more";
    throw base::Error(text);
}

} // namespace

Tree make_os_tree(const OsTreeInput& input, const std::string& root) {
    const ImageSpec& spec = input.spec;
    link_tree(input.base_tree, root);
    Tree tree(root);
    const std::string version = kernel_version(tree);

    std::vector<FileRule> files;
    for (const std::string& program : spec.programs)
        files.push_back({FileRule::Kind::program, program, "usr/bin/" + program, 0755});
    files.insert(files.end(), spec.files.begin(), spec.files.end());
    for (const ContainerSpec& container : spec.containers)
        tree.write(container.output, pack_container(container, input.bin_dir, input.timestamp));
    write_identity(input, tree);
    write_keys(input, tree);
    write_modules_list(spec, tree, version);
    if (input.loader)
        carry_boot_loader(*input.loader, tree);
    tree.apply(files, spec.links, input.bin_dir, true);
    for (const std::string& path : spec.remove) {
        if (const std::string target = os_tree_path(path); tree.exists(target))
            tree.remove(target);
        else
            throw base::Error("remove: /" + path + ": not in the tree");
    }
    tree.write("usr/lib/modules/" + version + "/initramfs.img", make_initramfs(spec.base, tree, version));
    make_linker_cache(tree);
    make_top_level(tree);
    check_libraries(tree);
    return tree;
}

} // namespace image
