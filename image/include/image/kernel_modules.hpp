// The kernel in the tree and the modules that go with it.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "image/tree.hpp"

namespace image {

/// modules.dep: a module's name and, in load order, the paths of what it needs and of itself.
class ModuleDependencies {
public:
    /// Paths as in the file, relative to /usr/lib/modules/VERSION. Throws base::Error "NAME:LINE: ...".
    static ModuleDependencies parse(std::string_view text, const std::string& name);

    bool has(const std::string& module) const { return modules_.contains(normal(module)); }
    /// Throws base::Error for a module that does not exist.
    std::vector<std::string> load_order(const std::string& module) const;
    /// The union of several load orders, each path once.
    std::vector<std::string> load_order(const std::vector<std::string>& modules) const;
    const std::vector<std::string>& paths() const noexcept { return paths_; }

private:
    /// Module names take '-' and '_' for the same.
    static std::string normal(std::string module);
    static std::string module_of(std::string_view path);
    std::map<std::string, std::vector<std::string>> modules_; ///< normalised name: path, then dependencies
    std::vector<std::string> paths_;
};

/// The version of the one kernel in /usr/lib/modules. Throws base::Error for none or two.
std::string kernel_version(const Tree& tree);

/// Moves the kernel to /usr/lib/modules/VERSION/vmlinuz, removes every module but `spec`'s with what they need, and
/// makes modules.dep. Returns the kernel's version.
std::string prepare_kernel(const BaseSpec& spec, const Tree& tree);

/// modules.dep of the tree's kernel.
ModuleDependencies module_dependencies(const Tree& tree, const std::string& version);

} // namespace image
