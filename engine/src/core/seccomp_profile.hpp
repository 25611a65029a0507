// The default system call filter, as the "seccomp" object of config.json.
//
// An allow-list: what is not named fails with EPERM. Calls that are dangerous without a capability are in it only when
// the container has that capability. clone3 says ENOSYS without CAP_SYS_ADMIN, because its flags are behind a pointer
// that a filter cannot read: libc then uses clone, whose flags are checked.
#pragma once
#include <set>
#include <string>

#include "base/json.hpp"

namespace engine {

/// `capabilities`: "CAP_..." of the container.
base::json::object default_seccomp_profile(const std::set<std::string>& capabilities);

} // namespace engine
