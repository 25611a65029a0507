// Container images made from files, programs and packages, without a registry.
#pragma once
#include <cstdint>
#include <string>

#include "image/base_tree.hpp"
#include "image/spec.hpp"

namespace image {

/// A docker-archive of the container's files alone; for those carried in an OS image.
std::string pack_container(const ContainerSpec& spec, const std::string& bin_dir, std::int64_t timestamp);

/// The same with its packages below the files. The libraries of what is in it must be in it too.
std::string build_container(const ContainerSpec& spec, const std::string& bin_dir, const PackagePool& pool,
                            const Cache& cache);

} // namespace image
