#include "image/tree.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "image/archive.hpp"
#include "image/tree_path.hpp"

namespace image {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t max_file_size = 1ULL << 30;

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

/// The entries below `root`, parents before children, sorted by path.
std::vector<fs::directory_entry> sorted_entries(const std::string& root) {
    std::vector<fs::directory_entry> entries;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root))
        entries.push_back(entry);
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return a.path().native() < b.path().native(); });
    return entries;
}

std::string relative_to(const fs::path& path, const std::string& root) {
    return path.native().substr(root.size() + 1);
}

/// A rule that names a program nobody built.
std::string program_path(const std::string& bin_dir, const std::string& name) {
    std::string path = bin_dir + "/" + name;
    if (!fs::is_regular_file(path))
        throw base::Error(ENOENT, "program " + name + " (" + path + "): build it first, or name another --bin-dir");
    return path;
}

} // namespace

bool Tree::exists(const std::string& path) const {
    struct stat status {};
    return ::lstat(host_path(path).c_str(), &status) == 0;
}

void Tree::make_directories(const std::string& path) const {
    base::make_directories(host_path(path));
}

void Tree::write(const std::string& path, std::string_view content, mode_t mode) const {
    remove(path);
    make_directories(parent_of(path));
    const std::string name = host_path(path);
    base::UniqueFd fd = base::open_file(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    base::write_all(fd.get(), content, name);
    base::check(::fchmod(fd.get(), mode), "chmod " + name);
    base::checked_close(std::move(fd), name);
}

void Tree::symlink(const std::string& path, const std::string& target) const {
    remove(path);
    make_directories(parent_of(path));
    base::check(::symlink(target.c_str(), host_path(path).c_str()), "symlink " + host_path(path));
}

void Tree::copy_file(const std::string& source, const std::string& path, std::optional<mode_t> mode) const {
    struct stat status {};
    base::check(::stat(source.c_str(), &status), "stat " + source);
    const mode_t default_mode = (status.st_mode & S_IXUSR) != 0 ? 0755 : 0644;
    write(path, base::read_file(source, max_file_size), mode.value_or(default_mode));
}

void Tree::copy_directory(const std::string& source, const std::string& path, bool os_layout) const {
    for (const fs::directory_entry& entry : sorted_entries(source)) {
        const std::string below = (path.empty() ? "" : path + "/") + relative_to(entry.path(), source);
        const std::string target = os_layout ? os_tree_path(below) : below;
        if (entry.is_symlink())
            symlink(target, fs::read_symlink(entry.path()).string());
        else if (entry.is_directory())
            make_directories(target);
        else
            copy_file(entry.path().string(), target);
    }
}

void Tree::remove(const std::string& path) const {
    if (path.empty())
        throw base::Error("remove: refusing the whole tree");
    base::remove_tree(host_path(path));
}

void Tree::prune_empty_directories(const std::string& path) const {
    std::vector<fs::directory_entry> entries = sorted_entries(host_path(path));
    std::reverse(entries.begin(), entries.end()); // children first
    for (const fs::directory_entry& entry : entries) {
        if (entry.is_directory() && !entry.is_symlink() && fs::is_empty(entry.path()))
            fs::remove(entry.path());
    }
}

void Tree::make_merged_usr() const {
    for (const char* name : {"bin", "sbin", "lib", "lib64"}) {
        make_directories(std::string("usr/") + name);
        symlink(name, std::string("usr/") + name);
    }
}

void Tree::apply(const std::vector<FileRule>& files, const std::vector<LinkRule>& links, const std::string& bin_dir,
                 bool os_layout) const {
    for (const LinkRule& rule : links) {
        const std::string directory = os_layout ? os_tree_path(rule.directory) : rule.directory;
        for (const std::string& name : rule.names)
            symlink(fmt::format("{}/{}", directory, name), rule.target);
    }
    for (const FileRule& rule : files) {
        const std::string target = os_layout ? os_tree_path(rule.target) : rule.target;
        switch (rule.kind) {
        case FileRule::Kind::program:
            copy_file(program_path(bin_dir, rule.source), target, rule.mode.value_or(0755));
            break;
        case FileRule::Kind::text:
            write(target, rule.source, rule.mode.value_or(0644));
            break;
        case FileRule::Kind::symlink:
            symlink(target, rule.source);
            break;
        case FileRule::Kind::copy:
            if (fs::is_directory(rule.source))
                copy_directory(rule.source, rule.target, os_layout);
            else
                copy_file(rule.source, target, rule.mode);
            break;
        }
    }
}

void link_tree(const std::string& from, const std::string& to) {
    base::check(::mkdir(to.c_str(), 0755), "mkdir " + to);
    for (const fs::directory_entry& entry : sorted_entries(from)) {
        const std::string target = to + "/" + relative_to(entry.path(), from);
        if (entry.is_symlink())
            fs::copy_symlink(entry.path(), target);
        else if (entry.is_directory())
            base::check(::mkdir(target.c_str(), 0755), "mkdir " + target);
        else
            base::check(::link(entry.path().c_str(), target.c_str()), "link " + target);
    }
}

std::vector<TreeFile> list_files(const std::string& root) {
    std::vector<TreeFile> files;
    for (const fs::directory_entry& entry : sorted_entries(root)) {
        struct stat status {};
        base::check(::lstat(entry.path().c_str(), &status), "stat " + entry.path().string());
        if (S_ISREG(status.st_mode))
            files.push_back({relative_to(entry.path(), root), static_cast<std::uint64_t>(status.st_size)});
    }
    return files;
}

std::string tar_of_tree(const std::string& root, std::int64_t time) {
    TarWriter tar(time);
    for (const fs::directory_entry& entry : sorted_entries(root)) {
        const std::string path = relative_to(entry.path(), root);
        struct stat status {};
        base::check(::lstat(entry.path().c_str(), &status), "stat " + entry.path().string());
        if (S_ISLNK(status.st_mode))
            tar.add_symlink(path, fs::read_symlink(entry.path()).string());
        else if (S_ISDIR(status.st_mode))
            tar.add_directory(path, status.st_mode & 0777);
        else
            tar.add_file(path, base::read_file(entry.path().string(), max_file_size), status.st_mode & 0777);
    }
    return tar.finish();
}

} // namespace image
