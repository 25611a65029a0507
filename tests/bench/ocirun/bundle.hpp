// The bundle that is measured: 14 capabilities, six namespaces, seven mounts, Docker's masked paths; with or without a
// filter of 360 system calls.
#pragma once
#include <linux/filter.h>

#include <string>
#include <vector>

namespace ocirun_bench {

constexpr const char* masked_files[] = {"/proc/kcore",      "/proc/keys",        "/proc/latency_stats",
                                        "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug"};
constexpr const char* masked_directories[] = {"/proc/asound", "/proc/acpi", "/proc/scsi", "/sys/firmware"};
constexpr const char* readonly_paths[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"};
constexpr unsigned capabilities[] = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31}; // Docker's

/// `program` is a JSON array. The root holds busybox.
void write_bundle(const std::string& path, bool seccomp, const char* program);

/// The filter of the bundle as a program, as ocirun_bench's floor loads it.
std::vector<sock_filter> compiled_filter();

} // namespace ocirun_bench
