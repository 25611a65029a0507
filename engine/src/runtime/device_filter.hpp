// The BPF program that decides on a container's use of devices (cgroup v2 has no files for that).
#pragma once
#include <linux/bpf.h>

#include <vector>

#include "runtime/config.hpp"

namespace engine::runtime {

/// The last rule that matches decides; when none does, access is denied. The devices that the specification promises
/// every container (null, zero, full, random, urandom, tty, ptmx and the pseudo terminals) are always allowed, and so
/// is making nodes (which takes CAP_MKNOD).
std::vector<bpf_insn> device_program(const std::vector<DeviceRule>& rules);

/// Loads the program and attaches it to the cgroup. Throws base::Error.
void attach_device_program(int cgroup_fd, const std::vector<bpf_insn>& program);
/// For updates: replaces whatever programs of that kind the cgroup itself has.
void replace_device_program(int cgroup_fd, const std::vector<bpf_insn>& program);

} // namespace engine::runtime
