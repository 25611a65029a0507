// An empty shared library in place of one that is large and never used.
#pragma once
#include "image/spec.hpp"
#include "image/tree.hpp"

namespace image {

/// Compiles a library with this name and these symbols (zeros) into the tree, with the build host's compiler.
void make_stub_library(const StubLibrary& stub, const Tree& tree);

} // namespace image
