// Named points at which a test makes a program fail, kills it there, or looks at the clock. A program that ships never
// sets the hook: a point is then one load and one branch.
#pragma once
#include "base/error.hpp"

namespace base {

/// Called with the name of each point; returns 0, or the errno value to fail with. It may run between clone and exec:
/// it must not allocate.
using FaultHook = int (*)(const char* point) noexcept;
inline FaultHook fault_hook = nullptr;

/// 0, or the errno value that the step of this name is to fail with.
inline int fault_at(const char* point) noexcept {
    return fault_hook == nullptr ? 0 : fault_hook(point);
}

/// Throws Error "fault POINT" when the step of this name is to fail.
inline void fault_point(const char* point) {
    if (const int error = fault_at(point); error != 0)
        throw Error(error, std::string("fault ") + point);
}

} // namespace base
