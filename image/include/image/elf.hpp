// What an ELF file needs at run time: read to prove that a tree is complete. Files are read, never mapped or run.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace image {

struct ElfFile {
    std::string soname;
    std::string interpreter;            ///< empty for static programs and libraries
    std::vector<std::string> needed;    ///< DT_NEEDED
    std::vector<std::string> run_paths; ///< DT_RUNPATH or DT_RPATH, split at ':'
};

/// nullopt when `bytes` is no x86-64 ELF program or shared object (a kernel module is an object file: nullopt).
/// Throws base::Error "NAME: reason" for a broken one.
std::optional<ElfFile> parse_elf(std::string_view bytes, const std::string& name);

/// Every "PATH needs NAME, which is not in the tree" of the programs and libraries below `root`/usr.
std::vector<std::string> find_missing_libraries(const std::string& root);

} // namespace image
