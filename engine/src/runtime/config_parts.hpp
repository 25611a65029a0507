// The parts of the reader of config.json, one function an object.
#pragma once
#include "runtime/config.hpp"
#include "runtime/json_cursor.hpp"

namespace engine::runtime {

Process read_process(const JsonCursor& process);
Mount read_mount(const JsonCursor& mount);
Hooks read_hooks(const JsonCursor& hooks);
Linux read_linux(const JsonCursor& linux_part);
Resources read_resources(const JsonCursor& resources);
SeccompProfile read_seccomp(const JsonCursor& seccomp);

/// Removes repeated slashes and "." components and takes ".." back lexically, never above "/".
std::string normal_path(const std::string& path);

} // namespace engine::runtime
