// The first deployment, made on the build host with libostree.
#pragma once
#include <string>
#include <vector>

#include "image/signing_key.hpp"

namespace image {

struct SysrootRequest {
    std::string repository; ///< where the commit is
    std::string commit;
    std::string ref;
    std::string revision;                      ///< the deployment's atoll.rev, for its origin file
    std::vector<std::string> kernel_arguments; ///< without ostree= (libostree adds it)
};

/// Makes an ostree sysroot with one deployment of the stateroot "atoll" in the empty directory `path`:
/// /ostree, and /boot with the kernel and the boot entry.
void make_sysroot(const SysrootRequest& request, const std::vector<SigningKey>& keys, const std::string& path);

} // namespace image
