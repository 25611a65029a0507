#include "image/elf.hpp"

#include <elf.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/files.hpp"

namespace image {
namespace {

namespace fs = std::filesystem;

constexpr fmt::string_view missing_text = "{} needs {}, which is not in the tree";

/// Bounds-checked reads of structures out of the file's bytes.
class ElfBytes {
public:
    ElfBytes(std::string_view bytes, const std::string& name) : bytes_(bytes), name_(name) {}

    template <typename T>
    T at(std::uint64_t offset) const {
        T value;
        if (offset > bytes_.size() || bytes_.size() - offset < sizeof value)
            fail();
        std::memcpy(&value, bytes_.data() + offset, sizeof value);
        return value;
    }
    std::string string_at(std::uint64_t offset) const {
        if (offset >= bytes_.size())
            fail();
        const std::size_t end = bytes_.find('\0', offset);
        if (end == std::string_view::npos)
            fail();
        return std::string(bytes_.substr(offset, end - offset));
    }
    [[noreturn]] void fail() const { throw base::Error(name_ + ": ELF file is cut short or broken"); }

private:
    std::string_view bytes_;
    const std::string& name_;
};

std::uint64_t file_offset(const ElfBytes& elf, const std::vector<Elf64_Phdr>& segments, std::uint64_t address) {
    for (const Elf64_Phdr& segment : segments) {
        if (segment.p_type == PT_LOAD && address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz)
            return segment.p_offset + (address - segment.p_vaddr);
    }
    elf.fail();
}

std::vector<std::string> split_paths(const std::string& text) {
    std::vector<std::string> paths;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find(':', at), text.size());
        if (end > at)
            paths.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return paths;
}

void read_dynamic(const ElfBytes& elf, const std::vector<Elf64_Phdr>& segments, const Elf64_Phdr& dynamic,
                  ElfFile& file) {
    std::uint64_t strings = 0;
    std::vector<Elf64_Dyn> wanted;
    for (std::uint64_t at = 0; at + sizeof(Elf64_Dyn) <= dynamic.p_filesz; at += sizeof(Elf64_Dyn)) {
        const auto entry = elf.at<Elf64_Dyn>(dynamic.p_offset + at);
        if (entry.d_tag == DT_NULL)
            break;
        if (entry.d_tag == DT_STRTAB)
            strings = file_offset(elf, segments, entry.d_un.d_ptr);
        else if (entry.d_tag == DT_NEEDED || entry.d_tag == DT_SONAME || entry.d_tag == DT_RUNPATH ||
                 entry.d_tag == DT_RPATH)
            wanted.push_back(entry);
    }
    for (const Elf64_Dyn& entry : wanted) {
        std::string text = elf.string_at(strings + entry.d_un.d_val);
        if (entry.d_tag == DT_NEEDED)
            file.needed.push_back(std::move(text));
        else if (entry.d_tag == DT_SONAME)
            file.soname = std::move(text);
        else
            file.run_paths = split_paths(text);
    }
}

/// Whether `path` names a regular file when "/" is `root`, symlinks followed.
bool exists_in(int root, const std::string& path) {
    try {
        const base::UniqueFd fd = base::open_in_root(root, path, O_PATH | O_CLOEXEC);
        struct stat status {};
        return ::fstat(fd.get(), &status) == 0 && S_ISREG(status.st_mode);
    } catch (const base::Error&) {
        return false;
    }
}

std::string expand_origin(std::string path, const std::string& directory) {
    for (const std::string_view origin : {"${ORIGIN}", "$ORIGIN"}) {
        if (const std::size_t at = path.find(origin); at != std::string::npos)
            path.replace(at, origin.size(), directory);
    }
    return path;
}

void check_file(int root, const fs::path& path, const std::string& name, std::vector<std::string>& missing) {
    // The dynamic linker's built-in directories on Debian amd64.
    static const std::vector<std::string> standard{"/usr/lib/x86_64-linux-gnu", "/usr/lib"};
    const std::string bytes = base::read_file(path.string(), 512UL * 1024 * 1024);
    const std::optional<ElfFile> file = parse_elf(bytes, name);
    if (!file)
        return;
    if (!file->interpreter.empty() && !exists_in(root, file->interpreter))
        missing.push_back(fmt::format(missing_text, name, file->interpreter));
    std::vector<std::string> directories;
    for (const std::string& run_path : file->run_paths)
        directories.push_back(expand_origin(run_path, fs::path(name).parent_path().string()));
    directories.insert(directories.end(), standard.begin(), standard.end());
    for (const std::string& library : file->needed) {
        bool found = false;
        for (const std::string& directory : directories)
            found = found || exists_in(root, fmt::format("{}/{}", directory, library));
        if (!found)
            missing.push_back(fmt::format(missing_text, name, library));
    }
}

} // namespace

std::optional<ElfFile> parse_elf(std::string_view bytes, const std::string& name) {
    if (bytes.size() < SELFMAG || std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0)
        return std::nullopt;
    const ElfBytes elf(bytes, name);
    const auto header = elf.at<Elf64_Ehdr>(0);
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64 ||
        (header.e_type != ET_EXEC && header.e_type != ET_DYN))
        return std::nullopt;
    if (header.e_phentsize != sizeof(Elf64_Phdr))
        elf.fail();
    std::vector<Elf64_Phdr> segments;
    for (unsigned i = 0; i < header.e_phnum; ++i)
        segments.push_back(elf.at<Elf64_Phdr>(header.e_phoff + std::uint64_t{i} * sizeof(Elf64_Phdr)));
    ElfFile file;
    for (const Elf64_Phdr& segment : segments) {
        if (segment.p_type == PT_INTERP)
            file.interpreter = elf.string_at(segment.p_offset);
        else if (segment.p_type == PT_DYNAMIC)
            read_dynamic(elf, segments, segment, file);
    }
    return file;
}

std::vector<std::string> find_missing_libraries(const std::string& root) {
    const base::UniqueFd root_fd = base::open_file(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    std::set<fs::path> files;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(fs::path(root) / "usr")) {
        if (entry.is_regular_file() && !entry.is_symlink())
            files.insert(entry.path());
    }
    std::vector<std::string> missing;
    for (const fs::path& path : files)
        check_file(root_fd.get(), path, "/" + fs::relative(path, root).string(), missing);
    return missing;
}

} // namespace image
