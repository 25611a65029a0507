// The log of a disk's writes as QEMU's blklogwrites makes it (the format of Linux's dm-log-writes, little endian):
//
//   superblock  u64 magic, u64 version, u64 number of entries, u32 sector size; padded to a sector
//   entry       u64 sector, u64 number of sectors, u64 flags, u64 length of data that is a mark's; padded to a sector
//               then the data, sector by sector; a discard and a flush have none
//
// The file may have been cut off in the middle of an entry that is not counted yet, and is not trusted otherwise.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace crash {

inline constexpr std::size_t sector_size = 512;

struct LogEntry {
    std::uint64_t sector = 0;
    std::uint64_t sectors = 0;
    bool flush = false;   ///< everything completed before is on disk; comes before the entry's own data
    bool fua = false;     ///< on disk when it is done
    bool discard = false; ///< no data; what is there afterwards is zero here
    const std::uint8_t* data = nullptr;
};

/// The entries of a log in memory; `bytes` have to outlive it. Throws base::Error.
std::vector<LogEntry> read_write_log(std::span<const std::uint8_t> bytes);
/// The number of entries that the superblock of a growing log tells.
std::uint64_t count_log_entries(const std::string& path);

/// A file's content, mapped read-only.
class MappedFile {
public:
    explicit MappedFile(const std::string& path); ///< throws base::Error
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    ~MappedFile();
    std::span<const std::uint8_t> bytes() const noexcept { return {data_, size_}; }

private:
    const std::uint8_t* data_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace crash
