#include "image/kernel_modules.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"

namespace image {
namespace {

namespace fs = std::filesystem;

void run_depmod(const Tree& tree, const std::string& version) {
    base::run_checked({"depmod", "-b", tree.root(), version});
}

std::set<std::string> builtin_modules(const Tree& tree, const std::string& version) {
    std::set<std::string> names;
    const std::string text = base::read_file(tree.host_path("usr/lib/modules/" + version + "/modules.builtin"));
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        std::string name = fs::path(text.substr(at, end - at)).stem().string();
        std::replace(name.begin(), name.end(), '-', '_');
        names.insert(std::move(name));
        at = end + 1;
    }
    return names;
}

} // namespace

std::string ModuleDependencies::normal(std::string module) {
    std::replace(module.begin(), module.end(), '-', '_');
    return module;
}

std::string ModuleDependencies::module_of(std::string_view path) {
    const std::string_view file = path.substr(path.rfind('/') + 1);
    return normal(std::string(file.substr(0, file.find('.'))));
}

ModuleDependencies ModuleDependencies::parse(std::string_view text, const std::string& name) {
    ModuleDependencies result;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty())
            continue;
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos || colon == 0)
            throw base::Error(name + ":" + std::to_string(number) + ": expected \"PATH: PATH...\"");
        const std::string path(line.substr(0, colon));
        std::vector<std::string>& order = result.modules_[module_of(path)];
        order.assign(1, path);
        result.paths_.push_back(path);
        line.remove_prefix(colon + 1);
        while (!line.empty()) {
            const std::size_t stop = std::min(line.find(' '), line.size());
            if (stop > 0)
                order.emplace_back(line.substr(0, stop));
            line.remove_prefix(std::min(stop + 1, line.size()));
        }
    }
    return result;
}

std::vector<std::string> ModuleDependencies::load_order(const std::string& module) const {
    const auto found = modules_.find(normal(module));
    if (found == modules_.end())
        throw base::Error("kernel module " + module + ": the kernel has none of this name");
    // depmod writes what is needed in reverse load order.
    return {found->second.rbegin(), found->second.rend()};
}

std::vector<std::string> ModuleDependencies::load_order(const std::vector<std::string>& modules) const {
    std::vector<std::string> order;
    std::set<std::string> seen;
    for (const std::string& module : modules) {
        for (std::string& path : load_order(module)) {
            if (seen.insert(path).second)
                order.push_back(std::move(path));
        }
    }
    return order;
}

std::string kernel_version(const Tree& tree) {
    std::string version;
    const std::string directory = tree.host_path("usr/lib/modules");
    if (fs::is_directory(directory)) {
        for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
            if (!version.empty())
                throw base::Error("two kernels in the tree: " + version + " and " + entry.path().filename().string());
            version = entry.path().filename().string();
        }
    }
    if (version.empty())
        throw base::Error("no kernel in the tree: no package brought /lib/modules/VERSION");
    return version;
}

std::string prepare_kernel(const BaseSpec& spec, const Tree& tree) {
    std::string version = kernel_version(tree);
    const std::string modules = "usr/lib/modules/" + version;
    fs::rename(tree.host_path("boot/vmlinuz-" + version), tree.host_path(modules + "/vmlinuz"));
    tree.remove("boot");

    run_depmod(tree, version);
    const ModuleDependencies all = module_dependencies(tree, version);
    const std::set<std::string> builtin = builtin_modules(tree, version);
    std::vector<std::string> wanted;
    for (const auto* list : {&spec.modules, &spec.loaded_modules, &spec.initramfs_modules}) {
        for (const std::string& module : *list) {
            if (!builtin.contains(module))
                wanted.push_back(module);
        }
    }
    const std::vector<std::string> order = all.load_order(wanted);
    const std::set<std::string> kept(order.begin(), order.end());
    for (const std::string& path : all.paths()) {
        if (!kept.contains(path))
            fs::remove(tree.host_path(fmt::format("{}/{}", modules, path)));
    }
    tree.prune_empty_directories(modules);
    run_depmod(tree, version);
    for (const char* name :
         {"modules.alias.bin", "modules.builtin.alias.bin", "modules.builtin.bin", "modules.dep.bin", "modules.symbols",
          "modules.symbols.bin", "modules.devname", "modules.order", "modules.builtin.modinfo"})
        tree.remove(fmt::format("{}/{}", modules, name));
    return version;
}

ModuleDependencies module_dependencies(const Tree& tree, const std::string& version) {
    const std::string path = "usr/lib/modules/" + version + "/modules.dep";
    return ModuleDependencies::parse(base::read_file(tree.host_path(path)), "/" + path);
}

} // namespace image
