// What the command line knows: the options before the command, the commands and theirs.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "ocirun/command_line.hpp"

namespace ocirun {

const std::vector<Option>& global_options();
const std::vector<Command>& commands();
/// Null when there is none of that name.
const Command* find_command(std::string_view name);

std::string help();
std::string help_of(const Command& command);

} // namespace ocirun
