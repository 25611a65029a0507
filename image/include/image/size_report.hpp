// How large a tree is and what weighs most.
#pragma once
#include <string>

namespace image {

/// A few lines of text. With `compressed`, also the size of a zstd -19 tar, which takes about a minute.
std::string size_report(const std::string& tree, bool compressed);

} // namespace image
