// Paths inside an image tree: relative, clean, and the rules that name sets of them.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace image {

/// Without leading "/" and "./", empty and "." parts and a trailing "/"; empty for the root. ".." throws base::Error.
std::string clean_path(std::string_view path);

/// Where a package's or an overlay's path lives in the OS tree: bin, sbin, lib and lib64 are in /usr, /etc is /usr/etc
/// (ostree makes /etc from it).
std::string os_tree_path(const std::string& clean);

/// A set of paths: each rule is a shell pattern, "*" not passing a "/", that takes the path it matches and all below
/// it.
class PathRules {
public:
    PathRules() = default;
    explicit PathRules(const std::vector<std::string>& patterns);
    bool matches(const std::string& path) const;

private:
    std::vector<std::string> patterns_;
};

} // namespace image
