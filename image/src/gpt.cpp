#include "image/gpt.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/sha256.hpp"

namespace image {
namespace {

constexpr std::size_t entry_count = 128;
constexpr std::size_t entry_size = 128;
constexpr std::uint64_t entry_sectors = entry_count * entry_size / 512;
constexpr std::uint64_t first_usable_lba = 2 + entry_sectors;
constexpr std::size_t header_size = 92;
// The text form writes the first three fields as little-endian numbers (UEFI specification, appendix A).
constexpr std::array<std::size_t, 16> text_order{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

void put(std::string& bytes, std::size_t offset, std::uint64_t value, std::size_t width) {
    for (std::size_t i = 0; i < width; ++i)
        bytes[offset + i] = static_cast<char>(value >> (8 * i));
}

void put_guid(std::string& bytes, std::size_t offset, const Guid& guid) {
    std::copy(guid.begin(), guid.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
}

void check_partitions(const std::vector<Partition>& partitions, std::uint64_t last_usable) {
    if (partitions.size() > entry_count)
        throw base::Error("partition table: more than 128 partitions");
    std::uint64_t next = first_usable_lba;
    for (const Partition& partition : partitions) {
        if (partition.sectors == 0 || partition.first_lba < next)
            throw base::Error("partition " + partition.name + ": empty, or overlaps the one before");
        if (partition.first_lba > last_usable || partition.sectors - 1 > last_usable - partition.first_lba)
            throw base::Error("partition " + partition.name + ": does not fit on the disk");
        if (partition.name.size() > 36)
            throw base::Error("partition " + partition.name + ": name longer than 36 characters");
        next = partition.first_lba + partition.sectors;
    }
}

std::string make_entries(const std::vector<Partition>& partitions) {
    std::string entries(entry_count * entry_size, '\0');
    for (std::size_t i = 0; i < partitions.size(); ++i) {
        const Partition& partition = partitions[i];
        const std::size_t at = i * entry_size;
        put_guid(entries, at, partition.type);
        put_guid(entries, at + 16, partition.id);
        put(entries, at + 32, partition.first_lba, 8);
        put(entries, at + 40, partition.first_lba + partition.sectors - 1, 8);
        for (std::size_t c = 0; c < partition.name.size(); ++c)
            put(entries, at + 56 + 2 * c, static_cast<unsigned char>(partition.name[c]), 2); // UTF-16LE
    }
    return entries;
}

std::string make_header(std::uint64_t own, std::uint64_t other, std::uint64_t entries_at, std::uint64_t last_usable,
                        const Guid& disk_id, const std::string& entries) {
    std::string header(512, '\0');
    header.replace(0, 8, "EFI PART");
    put(header, 8, 0x00010000, 4);
    put(header, 12, header_size, 4);
    put(header, 24, own, 8);
    put(header, 32, other, 8);
    put(header, 40, first_usable_lba, 8);
    put(header, 48, last_usable, 8);
    put_guid(header, 56, disk_id);
    put(header, 72, entries_at, 8);
    put(header, 80, entry_count, 4);
    put(header, 84, entry_size, 4);
    put(header, 88, crc32(entries), 4);
    put(header, 16, crc32(std::string_view(header).substr(0, header_size)), 4);
    return header;
}

std::string make_protective_mbr(std::uint64_t sectors) {
    std::string mbr(512, '\0');
    mbr.replace(0x1be, 8, std::string("\0\0\2\0\xee\xff\xff\xff", 8));
    put(mbr, 0x1be + 8, 1, 4);
    put(mbr, 0x1be + 12, std::min<std::uint64_t>(sectors - 1, UINT32_MAX), 4);
    mbr.replace(0x1fe, 2, "\x55\xaa");
    return mbr;
}

} // namespace

std::uint32_t crc32(std::string_view data) noexcept {
    std::uint32_t crc = ~0U;
    for (const char byte : data) {
        crc ^= static_cast<unsigned char>(byte);
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
    }
    return ~crc;
}

Guid parse_guid(std::string_view text) {
    std::string digits;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash != (text[i] == '-') || (!dash && !std::isxdigit(static_cast<unsigned char>(text[i]))))
            throw base::Error("\"" + std::string(text) + "\" is not a GUID");
        if (!dash)
            digits += text[i];
    }
    if (digits.size() != 32)
        throw base::Error("\"" + std::string(text) + "\" is not a GUID");
    Guid guid{};
    for (std::size_t i = 0; i < guid.size(); ++i)
        guid[text_order[i]] = static_cast<std::uint8_t>(std::stoul(digits.substr(2 * i, 2), nullptr, 16));
    return guid;
}

Guid derived_guid(std::string_view seed) {
    base::Sha256 hash;
    hash.update(seed);
    const base::Sha256::Digest digest = hash.finish();
    Guid guid{};
    std::copy_n(digest.begin(), guid.size(), guid.begin());
    guid[7] = static_cast<std::uint8_t>((guid[7] & 0x0f) | 0x40); // version 4 (RFC 4122), in disk order
    guid[8] = static_cast<std::uint8_t>((guid[8] & 0x3f) | 0x80);
    return guid;
}

std::string format_guid(const Guid& guid) {
    std::string text;
    for (std::size_t i = 0; i < guid.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            text += '-';
        text += base::to_hex(std::span(&guid[text_order[i]], 1));
    }
    return text;
}

PartitionTable make_partition_table(std::uint64_t sectors, const Guid& disk_id,
                                    const std::vector<Partition>& partitions) {
    if (sectors < 2 * (first_usable_lba + 1))
        throw base::Error("partition table: a disk of " + std::to_string(sectors) + " sectors is too small");
    const std::uint64_t last_usable = sectors - 2 - entry_sectors;
    check_partitions(partitions, last_usable);
    const std::string entries = make_entries(partitions);
    PartitionTable table;
    table.head = make_protective_mbr(sectors) + make_header(1, sectors - 1, 2, last_usable, disk_id, entries) + entries;
    table.tail = entries + make_header(sectors - 1, 1, sectors - 1 - entry_sectors, last_usable, disk_id, entries);
    return table;
}

} // namespace image
