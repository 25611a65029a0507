#include "superblock.hpp"

#include <algorithm>
#include <cstring>

namespace init {

namespace {

using Bytes = std::span<const std::uint8_t>;

bool matches(Bytes bytes, std::size_t offset, std::string_view text) noexcept {
    return bytes.size() >= offset + text.size() && std::memcmp(bytes.data() + offset, text.data(), text.size()) == 0;
}

std::uint64_t little_endian(Bytes bytes, std::size_t offset, std::size_t count) noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = count; i-- > 0;)
        value = value << 8 | bytes[offset + i];
    return value;
}

/// A label field: up to the first NUL, without blanks at the end.
void copy_label(Bytes bytes, std::size_t offset, std::size_t size, TextBuffer& label) noexcept {
    std::size_t length = 0;
    while (length < size && bytes[offset + length] != 0)
        ++length;
    while (length > 0 && bytes[offset + length - 1] == ' ')
        --length;
    for (std::size_t i = 0; i < length; ++i) {
        const std::uint8_t byte = bytes[offset + i];
        label.add(byte < 0x20 || byte > 0x7e ? '?' : static_cast<char>(byte));
    }
}

void add_hex(TextBuffer& text, std::uint8_t byte, const char* digits) noexcept {
    text.add(digits[byte >> 4]).add(digits[byte & 15]);
}

constexpr const char* lower = "0123456789abcdef";
constexpr const char* upper = "0123456789ABCDEF";

/// linux/fs/ext4/ext4.h: the superblock is at 1024; s_magic 0x38, s_uuid 0x68, s_volume_name 0x78.
bool parse_ext4(Bytes bytes, Superblock& found) noexcept {
    constexpr std::size_t start = 1024;
    if (bytes.size() < start + 1024 || !matches(bytes, start + 0x38, "\x53\xef"))
        return false;
    found.type = FileSystem::ext4;
    copy_label(bytes, start + 0x78, 16, found.label);
    for (std::size_t i = 0; i < 16; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            found.uuid.add('-');
        add_hex(found.uuid, bytes[start + 0x68 + i], lower);
    }
    return true;
}

/// Microsoft FAT specification, section 3.1: the extended boot record is at 0x24 (FAT12/16) or 0x40 (FAT32).
bool parse_vfat(Bytes bytes, Superblock& found) noexcept {
    if (!matches(bytes, 0x1fe, "\x55\xaa"))
        return false;
    std::size_t record = 0;
    if (matches(bytes, 0x52, "FAT32   "))
        record = 0x40;
    else if (matches(bytes, 0x36, "FAT12   ") || matches(bytes, 0x36, "FAT16   ") || matches(bytes, 0x36, "FAT     "))
        record = 0x24;
    if (record == 0 || bytes[record + 2] != 0x29)
        return false;
    found.type = FileSystem::vfat;
    copy_label(bytes, record + 7, 11, found.label);
    for (std::size_t i = 4; i-- > 0;) {
        add_hex(found.uuid, bytes[record + 3 + i], upper);
        if (i == 2)
            found.uuid.add('-');
    }
    return true;
}

/// ECMA-119, 8.4: the primary volume descriptor is at 32768, the volume identifier at 40 in it.
bool parse_iso9660(Bytes bytes, Superblock& found) noexcept {
    constexpr std::size_t start = 32768;
    if (bytes.size() < start + 2048 || !matches(bytes, start,
                                                std::string_view("\x01"
                                                                 "CD001",
                                                                 6)))
        return false;
    found.type = FileSystem::iso9660;
    copy_label(bytes, start + 40, 32, found.label);
    return true;
}

} // namespace

Superblock Superblock::parse(std::span<const std::uint8_t> start) noexcept {
    Superblock found;
    // ext4 first: mkfs leaves the boot block, and what an older vfat wrote there, alone.
    if (!parse_ext4(start, found) && !parse_vfat(start, found))
        parse_iso9660(start, found);
    return found;
}

const char* file_system_name(FileSystem type) noexcept {
    switch (type) {
    case FileSystem::ext4:
        return "ext4";
    case FileSystem::vfat:
        return "vfat";
    case FileSystem::iso9660:
        return "iso9660";
    case FileSystem::none:
        break;
    }
    return "none";
}

// UEFI specification, tables 5-5 (header) and 5-6 (entry). The first three fields of a GUID are little endian.
bool parse_gpt_header(std::span<const std::uint8_t> block, GptHeader& header) noexcept {
    if (block.size() < 92 || !matches(block, 0, "EFI PART"))
        return false;
    header.entries_lba = little_endian(block, 72, 8);
    header.entry_count = static_cast<std::uint32_t>(little_endian(block, 80, 4));
    header.entry_size = static_cast<std::uint32_t>(little_endian(block, 84, 4));
    return header.entries_lba >= 2 && header.entries_lba < (UINT64_C(1) << 40) && header.entry_count <= 1024 &&
           header.entry_size >= 128 && header.entry_size <= 4096;
}

bool parse_gpt_guid(std::span<const std::uint8_t> entry, TextBuffer& guid) noexcept {
    constexpr std::size_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    if (entry.size() < 32)
        return false;
    const auto is_zero = [](std::uint8_t byte) {
        return byte == 0;
    };
    if (std::all_of(entry.begin(), entry.begin() + 16, is_zero)) // type zero: the entry is not used
        return false;
    for (std::size_t i = 0; i < 16; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            guid.add('-');
        add_hex(guid, entry[16 + order[i]], lower);
    }
    return true;
}

} // namespace init
