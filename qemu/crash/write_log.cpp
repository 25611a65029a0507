#include "crash/write_log.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/files.hpp"

namespace crash {
namespace {

constexpr std::uint64_t log_magic = 0x6a736677736872;
constexpr std::uint64_t flush_flag = 1;
constexpr std::uint64_t fua_flag = 2;
constexpr std::uint64_t discard_flag = 4;
constexpr std::uint64_t mark_flag = 8;
constexpr std::uint64_t known_flags = flush_flag | fua_flag | discard_flag | mark_flag;

std::uint64_t little_endian(std::span<const std::uint8_t> bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = bytes.size(); i-- > 0;)
        value = value << 8U | bytes[i];
    return value;
}

struct Superblock {
    std::uint64_t entries = 0;
    std::uint64_t sector_size = 0;
};

Superblock read_superblock(std::span<const std::uint8_t> bytes) {
    if (bytes.size() < sector_size)
        throw base::Error("write log: shorter than its superblock");
    if (little_endian(bytes.subspan(0, 8)) != log_magic || little_endian(bytes.subspan(8, 8)) != 1)
        throw base::Error("write log: no magic number of version 1");
    const Superblock found{little_endian(bytes.subspan(16, 8)), little_endian(bytes.subspan(24, 4))};
    if (found.sector_size != sector_size)
        throw base::Error(fmt::format("write log: sectors of {} bytes, expected {}", found.sector_size, sector_size));
    return found;
}

} // namespace

std::vector<LogEntry> read_write_log(std::span<const std::uint8_t> bytes) {
    const Superblock super = read_superblock(bytes);
    std::vector<LogEntry> entries;
    std::size_t at = sector_size;
    for (std::uint64_t number = 0; number < super.entries; ++number) {
        const auto broken = [number](const char* why) {
            return base::Error(fmt::format("write log: entry {}: {}", number, why));
        };
        if (bytes.size() - at < sector_size)
            throw broken("cut off");
        const auto head = bytes.subspan(at, 32);
        at += sector_size;
        const std::uint64_t flags = little_endian(head.subspan(16, 8));
        LogEntry entry{.sector = little_endian(head.subspan(0, 8)),
                       .sectors = little_endian(head.subspan(8, 8)),
                       .flush = (flags & flush_flag) != 0,
                       .fua = (flags & fua_flag) != 0,
                       .discard = (flags & discard_flag) != 0};
        if ((flags & ~known_flags) != 0)
            throw broken("unknown flags");
        if (entry.sector > UINT64_MAX / sector_size || entry.sectors > UINT64_MAX / sector_size - entry.sector)
            throw broken("outside of any disk");
        const std::uint64_t data = (flags & mark_flag) != 0 ? little_endian(head.subspan(24, 8))
                                                            : (entry.discard ? 0 : entry.sectors * sector_size);
        if (data > bytes.size() - at)
            throw broken("its data is cut off");
        if (data != 0)
            entry.data = bytes.data() + at;
        // A mark's text fills whole sectors.
        at += std::min<std::size_t>((data + sector_size - 1) / sector_size * sector_size, bytes.size() - at);
        if ((flags & mark_flag) == 0)
            entries.push_back(entry);
        else
            entries.push_back({}); // keeps the entries' numbers
    }
    return entries;
}

std::uint64_t count_log_entries(const std::string& path) {
    const base::UniqueFd file = base::open_file(path, O_RDONLY);
    std::array<std::uint8_t, sector_size> super{};
    const ssize_t size = base::check(::pread(file.get(), super.data(), super.size(), 0), "read " + path);
    // QEMU writes it with the first entry.
    return size == 0 ? 0 : read_superblock(std::span(super).first(static_cast<std::size_t>(size))).entries;
}

MappedFile::MappedFile(const std::string& path) {
    const base::UniqueFd file = base::open_file(path, O_RDONLY);
    struct stat status {};
    base::check(::fstat(file.get(), &status), "stat " + path);
    size_ = static_cast<std::size_t>(status.st_size);
    if (size_ == 0)
        return;
    void* map = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.get(), 0);
    if (map == MAP_FAILED)
        base::throw_errno("map " + path);
    data_ = static_cast<const std::uint8_t*>(map);
}

MappedFile::~MappedFile() {
    if (data_ != nullptr)
        ::munmap(const_cast<std::uint8_t*>(data_), size_); // NOLINT(cppcoreguidelines-pro-type-const-cast): munmap(2)
}

} // namespace crash
