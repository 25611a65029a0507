// Kernel modules: the initramfs' list of paths, and modules by name through modules.dep.
#pragma once
#include <cstddef>
#include <string_view>

#include "text.hpp"

namespace init {

/// A line of modules.dep, "kernel/a.ko: kernel/b.ko kernel/c.ko": a needs b, b needs c.
struct ModuleDependencies {
    std::string_view path;
    std::string_view needs; ///< separated by blanks, in the reverse of load order
};

/// True when `path` is the file of the module `name`. '-' and '_' are the same, as for the kernel.
bool is_module_file(std::string_view path, std::string_view name) noexcept;

/// Finds a module in the text of modules.dep. False: there is none. Paths that are absolute or contain ".." do not
/// match (the modules of a deployment are all below its own directory).
bool find_module(std::string_view modules_dep, std::string_view name, ModuleDependencies& found) noexcept;

/// A line of a list: without comment and blanks; empty when there is nothing.
std::string_view list_entry(std::string_view line) noexcept;

/// finit_module(2). A module that is loaded already is no error. Returns 0 or an errno value.
int load_module_file(const char* path) noexcept;

/// Stage 1: loads each path of the list file. A failure is logged and the next one tried. No file: nothing to do.
void load_module_paths(const char* list_file) noexcept;

/// Loads modules by name for the running kernel, with what they need, from DIRECTORY/<release>.
class ModuleLoader {
public:
    /// `directory`: "/usr/lib/modules".
    explicit ModuleLoader(const char* directory) noexcept;
    ~ModuleLoader();
    ModuleLoader(const ModuleLoader&) = delete;
    ModuleLoader& operator=(const ModuleLoader&) = delete;

    /// Returns 0, ENOENT when there is no such module, or what the kernel said. A failure is logged.
    int load(std::string_view name) noexcept;
    /// Every name in a list file, in order. A missing file is logged.
    void load_list(const char* list_file) noexcept;

private:
    bool is_builtin(std::string_view name) const noexcept;

    Path root_;
    const char* map_ = nullptr; ///< modules.dep, mapped
    std::size_t size_ = 0;
};

} // namespace init
