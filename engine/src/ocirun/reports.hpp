// What `list`, `ps` and `events` print.
#pragma once
#include "ocirun/command_line.hpp"
#include "runtime/runtime.hpp"

namespace ocirun {

void print(const std::string& text); ///< to standard output
void print_list(engine::runtime::Runtime& runtime, const Arguments& arguments);
void print_processes(engine::runtime::Runtime& runtime, const Arguments& arguments);
/// Until the container has ended; with --stats once.
void print_events(engine::runtime::Runtime& runtime, const Arguments& arguments);

/// The first argument. Throws base::UsageError when there is none, or more than `most` arguments.
std::string container_id(const Arguments& arguments, std::size_t most = 1);

} // namespace ocirun
