// The kernel of a commit, and what of the commit goes into its boot entry.
#pragma once
#include <string>

#include "repository.hpp"

namespace updater {

struct KernelFiles {
    std::string version;
    Repository::Entry vmlinuz;
    Repository::Entry initramfs;
    std::uint64_t size() const noexcept { return vmlinuz.size + initramfs.size; }
};

/// Throws base::Error unless there is exactly one kernel, with its initramfs.
KernelFiles find_kernel(const Repository& repository, const std::string& commit);

/// Throws base::Error unless what of the commit becomes part of its boot entry can stand there.
void check_boot_entry(const Repository& repository, const CommitInfo& commit, const KernelFiles& kernel);

} // namespace updater
