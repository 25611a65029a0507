// The parts of the reader of config.json, one function an object.
#pragma once
#include "runtime/config.hpp"
#include "runtime/json_cursor.hpp"

namespace engine::runtime {

Process read_process(const JsonCursor& process);
Scheduler read_scheduler(const JsonCursor& scheduler);
int read_io_priority(const JsonCursor& io_priority);
CpuAffinity read_affinity(const JsonCursor& affinity);
Mount read_mount(const JsonCursor& mount);
/// What id mappings of mounts take from the rest of config.json: the user namespace, and what is relative to it.
void complete_id_mappings(const JsonCursor& mounts, Config& config);
Hooks read_hooks(const JsonCursor& hooks);
std::vector<IdMapping> read_id_mappings(const JsonCursor& mappings);
Linux read_linux(const JsonCursor& linux_part);
Resources read_resources(const JsonCursor& resources);
SeccompProfile read_seccomp(const JsonCursor& seccomp);

/// The names read_seccomp knows, for `features`.
std::vector<std::string> seccomp_actions();
std::vector<std::string> seccomp_operators();
std::vector<std::string> seccomp_architectures();
std::vector<std::string> seccomp_flags();

/// Removes repeated slashes and "." components and takes ".." back lexically, never above "/".
std::string normal_path(const std::string& path);

} // namespace engine::runtime
