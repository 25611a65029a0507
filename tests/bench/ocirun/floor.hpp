// The floor: what the kernel alone takes for the bundle, without a runtime, its state, its checks and its errors.
#pragma once
#include <linux/filter.h>

#include <string>
#include <vector>

namespace ocirun_bench {

/// A child in six namespaces makes the bundle's mounts, devices, masks and root, drops capabilities, loads `filter`
/// (empty: none) and runs `/busybox true`. Returns its wait(2) status.
int run_floor(const std::string& rootfs, const std::vector<sock_filter>& filter);

} // namespace ocirun_bench
