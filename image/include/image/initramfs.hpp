// The initramfs: init as /init, the modules of stage 1, and the list that says their order (init/DESIGN.md).
#pragma once
#include <string>

#include "image/kernel_modules.hpp"
#include "image/spec.hpp"
#include "image/tree.hpp"

namespace image {

/// The compressed archive; a function of the tree's files only.
std::string make_initramfs(const BaseSpec& spec, const Tree& tree, const std::string& kernel_version);

} // namespace image
