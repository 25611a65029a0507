// A seccomp profile as the kernel's filter program.
#pragma once
#include <linux/filter.h>

#include <optional>
#include <string>
#include <vector>

#include "runtime/config.hpp"

namespace engine::runtime {

struct SeccompFilter {
    std::vector<sock_filter> program;
    unsigned load_flags = 0; ///< SECCOMP_FILTER_FLAG_*
};

/// By libseccomp: milliseconds for a large profile. Throws base::Error.
SeccompFilter compile_filter(const SeccompProfile& profile);

/// Compiled filters in a directory of the caller's, each under the digest (SHA-256) of the profile, the architecture
/// and libseccomp's version, which it also holds, with one of the program. The directory is trusted by its owner and
/// mode: what others could write is not read. An entry that is foreign or damaged is compiled anew and replaced.
class FilterCache {
public:
    /// Makes the directory when it is missing.
    explicit FilterCache(std::string directory) : directory_(std::move(directory)) {}
    SeccompFilter get(const SeccompProfile& profile) const;

private:
    std::string directory_;
};

} // namespace engine::runtime
