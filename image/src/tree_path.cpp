#include "image/tree_path.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/error.hpp"

namespace image {

std::string clean_path(std::string_view path) {
    std::string result;
    std::size_t at = 0;
    while (at < path.size()) {
        const std::size_t end = std::min(path.find('/', at), path.size());
        const std::string_view part = path.substr(at, end - at);
        at = end + 1;
        if (part.empty() || part == ".")
            continue;
        if (part == "..")
            throw base::Error(fmt::format(R"(path "{}": ".." is not allowed)", path));
        if (!result.empty())
            result += '/';
        result += part;
    }
    return result;
}

std::string os_tree_path(const std::string& clean) {
    static constexpr std::array<std::string_view, 5> merged{"bin", "sbin", "lib", "lib64", "etc"};
    const std::string_view top = std::string_view(clean).substr(0, clean.find('/'));
    for (const std::string_view name : merged) {
        if (top == name)
            return "usr/" + clean;
    }
    return clean;
}

PathRules::PathRules(const std::vector<std::string>& patterns) {
    for (const std::string& pattern : patterns)
        patterns_.push_back(clean_path(pattern));
}

bool PathRules::matches(const std::string& path) const {
    return std::ranges::any_of(patterns_, [&](const std::string& pattern) {
        return ::fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME | FNM_LEADING_DIR) == 0;
    });
}

} // namespace image
