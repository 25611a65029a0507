// A GUID partition table (UEFI specification 2.10, chapter 5), made whole and deterministic.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace image {

using Guid = std::array<std::uint8_t, 16>; ///< in the byte order of the disk

/// "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"; throws base::Error.
Guid parse_guid(std::string_view text);
/// A version 4 GUID that is a function of `seed`: the same image has the same identifiers.
Guid derived_guid(std::string_view seed);
std::string format_guid(const Guid& guid);

inline constexpr std::string_view bios_boot_partition_type = "21686148-6449-6e6f-744e-656564454649";
inline constexpr std::string_view efi_system_partition_type = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
inline constexpr std::string_view linux_filesystem_type = "0fc63daf-8483-4772-8e79-3d69d8477de4";

struct Partition {
    Guid type{};
    Guid id{};
    std::string name;            ///< ASCII, at most 36 characters
    std::uint64_t first_lba = 0; ///< sectors of 512 bytes
    std::uint64_t sectors = 0;
    std::uint64_t offset() const noexcept { return first_lba * 512; }
    std::uint64_t bytes() const noexcept { return sectors * 512; }
};

struct PartitionTable {
    std::string head; ///< 34 sectors from LBA 0: protective MBR, header, entries
    std::string tail; ///< the last 33 sectors: entries, backup header
};

/// The table of a disk of `sectors` sectors. Throws base::Error for partitions that overlap or do not fit.
PartitionTable make_partition_table(std::uint64_t sectors, const Guid& disk_id,
                                    const std::vector<Partition>& partitions);

/// CRC-32 as in IEEE 802.3 (the one of GPT and zlib).
std::uint32_t crc32(std::string_view data) noexcept;

} // namespace image
