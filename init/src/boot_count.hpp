// What init tells GRUB about a boot, in GRUB's environment block.
//
// GRUB takes one of three tries before it starts a revision on trial. A boot that reaches stage 1 has proved kernel and
// initramfs: its try is given back, so that a power cut in the middle of a boot is not held against the revision. But
// only `max_refunds` times: a revision that resets the machine again and again after stage 1 has used up its tries
// after max_refunds + 3 boots. Where the firmware keeps the kernel's last words (UEFI) a panic is known to be none of
// the power, and its boots are not given back.
//
//   begun=REVISION.N    N boots of the revision on trial reached stage 1 and none of them has been judged yet
//   failed=REVISION     this revision cannot be started: GRUB passes it over once (and notes passed=REVISION)
//   tries=0             a verdict was spoken: GRUB falls back at once
#pragma once
#include <cstdint>
#include <string_view>

#include "grub_block.hpp"

namespace init {

inline constexpr std::uint64_t max_refunds = 2;

/// Each gives the new block in `changed`, or false when there is nothing to change: no block, or not a revision on
/// trial.
bool count_begun_boot(std::string_view block, std::string_view revision, GrubBlock& changed) noexcept;
/// The same when the boot before this one panicked: its try stays taken.
bool count_crashed_boot(std::string_view block, std::string_view revision, GrubBlock& changed) noexcept;
bool mark_failed(std::string_view block, std::string_view revision, GrubBlock& changed) noexcept;
bool end_tries(std::string_view block, std::string_view revision, GrubBlock& changed) noexcept;

/// Whether GRUB counts the revision's tries.
bool is_counted(std::string_view block, std::string_view revision) noexcept;

using BlockChange = bool (*)(std::string_view block, std::string_view revision, GrubBlock& changed) noexcept;
/// Reads the file, changes the block, writes it in place. What fails is logged: a boot does not depend on it.
void change_grub_environment(const char* path, BlockChange change, std::string_view revision) noexcept;

} // namespace init
