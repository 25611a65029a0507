// What the kernel wrote into the firmware's persistent store (pstore) when it panicked: kept for the updater's receipt,
// and taken out of the store, whose room is small.
#pragma once
#include <string_view>

#include "text.hpp"

namespace init {

/// Moves the last lines of the newest dump below `store` ("/sys/fs/pstore") to `target`, durably, and removes all
/// dumps. The line that says why the kernel panicked comes first when it is not among them. Nothing there: nothing happens. A failure is logged.
void keep_panic(const char* store, const char* target) noexcept;

/// Whether a dump is in the store.
bool holds_panic(const char* store) noexcept;

/// A dump begins with "Panic#2 Part1" (or Oops); part 1 is the end of the kernel's log. Its text without that line, or
/// empty when it is another part or none at all.
std::string_view last_part(std::string_view dump) noexcept;
/// The line of any part that says why; empty when there is none.
std::string_view panic_line(std::string_view dump) noexcept;
/// Without the first lines, so that at most `count` are left.
std::string_view last_lines(std::string_view text, std::size_t count) noexcept;

} // namespace init
