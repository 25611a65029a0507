// UTF-8 as RFC 3629 has it: what JSON and YAML are, and what becomes JSON has to be.
#pragma once
#include <cstddef>
#include <string_view>

namespace base {

/// Bytes of the sequence that `text`, which is not empty, begins with; 0: it is none (overlong, a surrogate, cut off).
std::size_t utf8_length(std::string_view text) noexcept;
bool is_utf8(std::string_view text) noexcept;

} // namespace base
