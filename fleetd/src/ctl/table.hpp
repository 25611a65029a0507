// Text for people: aligned columns, and other people's text made harmless for a terminal.
#pragma once
#include <string>
#include <vector>

namespace fleet {

/// The first row is the head; columns are two spaces apart, no space at line ends.
std::string format_table(const std::vector<std::vector<std::string>>& rows);

/// Control characters become "?", so that a container's error message cannot write escape sequences.
std::string printable(std::string_view text);

} // namespace fleet
