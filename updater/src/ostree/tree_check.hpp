// Whether a commit's directories can be checked out: libostree looks at most names as it fetches, at their number and
// depth only partly. Directories are shared by their digest, so that a few objects can spell a tree without an end.
#pragma once
#include <string>

#include "repository.hpp"

namespace updater {

inline constexpr unsigned max_tree_depth = 64;
inline constexpr std::uint64_t max_tree_entries = 1'000'000;

/// Throws base::Error naming what is wrong.
void check_tree(const Repository& repository, const std::string& commit);

} // namespace updater
