// The OCI runtime specification: the version this runtime speaks, and where in it things are said.
#pragma once
#include <string>
#include <string_view>

namespace engine::runtime {

inline constexpr const char* specification_version = "1.2.1";

/// `config-linux.md, "Seccomp"` for "linux.seccomp.syscalls[0].action"; empty when it says nothing about the path.
std::string specification_section(std::string_view json_path);

} // namespace engine::runtime
