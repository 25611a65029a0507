#include "image/base_tree.hpp"

#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "base/sha256.hpp"
#include "image/kernel_modules.hpp"
#include "image/stub_library.hpp"
#include "image/tree.hpp"

namespace image {
namespace {

namespace fs = std::filesystem;

/// Changed when the same input gives another tree.
constexpr std::string_view format_version = "base tree 1";
constexpr std::size_t trees_kept = 4;

std::string key_of(const BaseSpec& spec, const Lock& lock, bool os_layout) {
    std::string text(format_version);
    const auto add = [&](std::string_view title, const std::vector<std::string>& values) {
        text += "\n[" + std::string(title) + "]\n";
        for (const std::string& value : values)
            text += value + "\n";
    };
    add("lock", {lock.digest()});
    add("drop", spec.drop);
    add("keep", spec.keep);
    add("modules", spec.modules);
    add("loaded", spec.loaded_modules);
    add("initramfs", spec.initramfs_modules);
    for (const StubLibrary& stub : spec.stubs)
        add("stub " + stub.name, stub.symbols);
    add("layout", {os_layout ? "os" : "container"});
    return base::sha256_hex(text);
}

/// One file out of Debian's certificate files: what update-ca-certificates does with its default configuration.
void join_certificates(const Tree& tree) {
    const std::string source = tree.host_path("usr/share/ca-certificates");
    if (!fs::is_directory(source))
        return;
    std::vector<fs::path> files;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(source)) {
        if (entry.is_regular_file() && entry.path().extension() == ".crt")
            files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    std::string bundle;
    for (const fs::path& file : files)
        bundle += base::read_file(file.string());
    tree.write("usr/etc/ssl/certs/ca-certificates.crt", bundle);
    tree.remove("usr/share/ca-certificates");
}

void build(const BaseSpec& spec, const Lock& lock, const PackagePool& pool, bool os_layout, const Tree& tree) {
    tree.make_merged_usr();
    unpack_packages(lock.packages, pool, spec, os_layout, tree);
    for (const StubLibrary& stub : spec.stubs)
        make_stub_library(stub, tree);
    if (os_layout) {
        prepare_kernel(spec, tree);
        join_certificates(tree);
        tree.remove("var");
    }
    tree.prune_empty_directories("usr");
    // A relative name for what pruning may have taken away.
    for (const char* name : {"usr/bin", "usr/sbin", "usr/lib", "usr/lib64"})
        tree.make_directories(name);
}

void remove_old_trees(const Cache& cache) {
    std::vector<std::pair<fs::file_time_type, fs::path>> trees;
    for (const fs::directory_entry& entry : fs::directory_iterator(cache.base_trees()))
        trees.emplace_back(fs::last_write_time(entry.path()), entry.path());
    std::sort(trees.rbegin(), trees.rend());
    for (std::size_t i = trees_kept; i < trees.size(); ++i)
        base::remove_tree(trees[i].second.string());
}

} // namespace

Cache::Cache(std::string directory) : directory_(std::move(directory)) {
    base::make_directories(base_trees());
    const std::string lock = directory_ + "/lock";
    lock_ = base::open_file(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (::flock(lock_.get(), LOCK_EX | LOCK_NB) < 0) {
        base::log_info("waiting for another mkimage that uses {}", directory_);
        base::check(::flock(lock_.get(), LOCK_EX), "lock " + lock);
    }
    base::remove_tree(work());
    base::make_directories(work());
}

std::string prepare_base_tree(const BaseSpec& spec, const Lock& lock, const PackagePool& pool, const Cache& cache,
                              bool os_layout) {
    for (const std::string& name : spec.packages) {
        if (lock.find(name) == nullptr)
            throw base::Error(spec.lock_path + ": package " + name +
                              " is not locked; renew the lock with `mkimage lock`");
    }
    std::string target = cache.base_trees() + "/" + key_of(spec, lock, os_layout);
    if (fs::exists(target)) {
        fs::last_write_time(target, fs::file_time_type::clock::now());
        return target;
    }
    pool.fetch(lock.packages);
    base::log_info("unpacking packages count={}", lock.packages.size());
    base::TempDir work("base", cache.work());
    base::check(::chmod(work.path().c_str(), 0755), "chmod " + work.path());
    build(spec, lock, pool, os_layout, Tree(work.path()));
    fs::rename(work.path(), target);
    work.release();
    remove_old_trees(cache);
    return target;
}

} // namespace image
