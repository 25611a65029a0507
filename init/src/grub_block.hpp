// GRUB's environment block (base/grub_env.hpp tells the format), for code that neither allocates nor throws.
#pragma once
#include <initializer_list>
#include <string_view>

#include "text.hpp"

namespace init {

inline constexpr std::size_t grub_block_size = 1024;
using GrubBlock = Text<grub_block_size + 1>;

bool is_grub_block(std::string_view block) noexcept;

/// The value of a variable; empty when unset or when the block is none.
std::string_view grub_variable(std::string_view block, std::string_view name) noexcept;

struct GrubSetting {
    std::string_view name;
    std::string_view value;
};

/// `block` with these variables set; all others are kept as they are written. False when the block is none, or when
/// the result would leave the first sector, which alone is written whole or not at all.
bool change_grub_block(std::string_view block, std::initializer_list<GrubSetting> settings,
                       GrubBlock& changed) noexcept;

/// Reads the block; 0 or an errno value.
int read_grub_block(const char* path, GrubBlock& block) noexcept;
/// One pwrite with O_DSYNC over the file that exists: GRUB reads and writes these very sectors.
int write_grub_block(const char* path, const GrubBlock& block) noexcept;

} // namespace init
