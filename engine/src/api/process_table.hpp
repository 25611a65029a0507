// The processes of a container, as `ps -ef` shows them.
#pragma once
#include <string>
#include <vector>

namespace engine::api {

/// Rows of UID, PID, PPID, C, STIME, TTY, TIME, CMD of every process in the cgroup and below; those that end meanwhile
/// are left out.
std::vector<std::vector<std::string>> process_table(const std::string& cgroup);

} // namespace engine::api
