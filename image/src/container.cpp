#include "image/container.hpp"

#include <sys/stat.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "image/docker_archive.hpp"
#include "image/elf.hpp"
#include "image/tree.hpp"

namespace image {
namespace {

std::string archive_of(const ContainerSpec& spec, const Tree& tree, std::int64_t timestamp) {
    return make_docker_archive({.name = spec.name,
                                .command = spec.command,
                                .environment = spec.environment,
                                .created = timestamp,
                                .layer = tar_of_tree(tree.root(), timestamp)});
}

} // namespace

std::string pack_container(const ContainerSpec& spec, const std::string& bin_dir, std::int64_t timestamp) {
    return base::with_context("container " + spec.name, [&] {
        const base::TempDir directory("container");
        const Tree tree(directory.path());
        tree.apply(spec.files, spec.links, bin_dir, false);
        return archive_of(spec, tree, timestamp);
    });
}

std::string build_container(const ContainerSpec& spec, const std::string& bin_dir, const PackagePool& pool,
                            const Cache& cache) {
    if (spec.base.packages.empty())
        return pack_container(spec, bin_dir, spec.timestamp.value_or(0));
    const Lock lock = load_lock(spec.base.lock_path);
    const std::string base_tree = prepare_base_tree(spec.base, lock, pool, cache, false);
    const base::TempDir work("container", cache.work());
    const Tree tree(work / "tree");
    link_tree(base_tree, tree.root());
    tree.apply(spec.files, spec.links, bin_dir, false);
    if (const std::vector<std::string> missing = find_missing_libraries(tree.root()); !missing.empty())
        throw base::Error("container " + spec.name + ": " + missing.front());
    return archive_of(spec, tree, spec.timestamp.value_or(lock.date));
}

} // namespace image
