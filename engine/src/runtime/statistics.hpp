// `events`: a container's resource use and its running out of memory, as the JSON that runc prints:
//   {"type":"stats","id":"box","data":{"cpu":{...},"memory":{...},"pids":{...},"blkio":{...},"hugetlb":{...}}}
//   {"type":"oom","id":"box"}
#pragma once
#include <chrono>
#include <functional>
#include <string>

#include "runtime/state.hpp"

namespace engine::runtime {

/// What the controllers of its cgroup count; a controller that is not there is left out.
std::string statistics_event(const ContainerState& state);

/// Reports now, at every `interval`, and when a process was killed for memory. Returns when the first process has
/// ended.
void watch_container(const ContainerState& state, std::chrono::milliseconds interval,
                     const std::function<void(const std::string&)>& report);

} // namespace engine::runtime
