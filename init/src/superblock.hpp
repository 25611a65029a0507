// What file system a device holds, from its first blocks. The bytes may be anybody's: nothing in them is trusted.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "text.hpp"

namespace init {

enum class FileSystem { none, ext4, vfat, iso9660 };

struct Superblock {
    /// How much of the device `parse` wants; less is fine, what lies behind is then not found.
    static constexpr std::size_t size = std::size_t{36} * 1024;

    FileSystem type = FileSystem::none;
    Text<40> label; ///< control characters and bytes above 126 are shown as '?'
    Text<40> uuid;  ///< lower case; "1234-ABCD" for vfat; empty for iso9660

    static Superblock parse(std::span<const std::uint8_t> start) noexcept;
};

/// The name for mount(2).
const char* file_system_name(FileSystem type) noexcept;

/// One partition of a GPT entry array: its unique GUID as text. False when the bytes are no used entry.
bool parse_gpt_guid(std::span<const std::uint8_t> entry, TextBuffer& guid) noexcept;

struct GptHeader {
    std::uint64_t entries_lba = 0;
    std::uint32_t entry_count = 0;
    std::uint32_t entry_size = 0;
};
/// LBA 1 of a disk. False when it is no GPT header with sane numbers (128..4096 bytes an entry, at most 1024 entries).
bool parse_gpt_header(std::span<const std::uint8_t> block, GptHeader& header) noexcept;

} // namespace init
