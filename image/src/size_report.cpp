#include "image/size_report.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "image/archive.hpp"
#include "image/tree.hpp"

namespace image {
namespace {

constexpr std::size_t rows = 12;
constexpr int level = 19;

double mebibytes(std::uint64_t bytes) {
    return static_cast<double>(bytes) / (1 << 20);
}

/// What a file is counted under: itself when large, else its directory.
std::string group_of(const TreeFile& file) {
    constexpr std::uint64_t large = 1 << 20;
    if (file.size >= large)
        return "/" + file.path;
    const std::size_t slash = file.path.rfind('/');
    std::string directory = file.path.substr(0, slash == std::string::npos ? 0 : slash);
    for (int depth = 0; std::count(directory.begin(), directory.end(), '/') > 3 && depth < 32; ++depth)
        directory.erase(directory.rfind('/'));
    return "/" + directory + "/";
}

} // namespace

std::string size_report(const std::string& tree, bool compressed) {
    std::uint64_t total = 0;
    std::map<std::string, std::uint64_t> groups;
    const std::vector<TreeFile> files = list_files(tree);
    for (const TreeFile& file : files) {
        total += file.size;
        groups[group_of(file)] += file.size;
    }
    std::vector<std::pair<std::uint64_t, std::string>> sorted;
    sorted.reserve(groups.size());
    for (const auto& [name, size] : groups)
        sorted.emplace_back(size, name);
    std::sort(sorted.rbegin(), sorted.rend());

    std::string text = fmt::format("tree: {:.1f} MiB in {} files", mebibytes(total), files.size());
    if (compressed)
        text += fmt::format(", {:.1f} MiB as tar.zst -{}", mebibytes(compress_zstd(tar_of_tree(tree, 0), level).size()),
                            level);
    text += "\n";
    for (std::size_t i = 0; i < std::min(rows, sorted.size()); ++i)
        text += fmt::format("  {:6.1f} MiB  {}\n", mebibytes(sorted[i].first), sorted[i].second);
    return text;
}

} // namespace image
