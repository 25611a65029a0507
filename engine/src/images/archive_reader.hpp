// libarchive behind an owner: a tar, or raw bytes, out of gzip, zstd, xz or nothing. What it reads is hostile.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

struct archive;
struct archive_entry;

namespace engine {

/// Gives the next bytes; 0 at the end. May throw: the exception comes out of the reader's function that asked.
using ByteSource = std::function<std::size_t(char* buffer, std::size_t size)>;

/// Reads from a descriptor, which outlives the source.
ByteSource descriptor_source(int fd, std::string name);

/// One pass over an archive. Only filters inside libarchive are enabled (some others run programs). Errors are thrown
/// as base::Error "NAME: what libarchive says".
class ArchiveReader {
public:
    enum class Kind {
        tar, ///< ustar, pax, GNU
        raw, ///< one entry: the decompressed bytes
    };
    ArchiveReader(ByteSource source, Kind kind, std::string name);
    ~ArchiveReader();
    ArchiveReader(const ArchiveReader&) = delete;
    ArchiveReader& operator=(const ArchiveReader&) = delete;

    /// The next entry, valid until the next call; nullptr at the end.
    archive_entry* next();
    /// The next part of the entry's data and its place in the file (between parts are holes); false at its end.
    bool read_block(std::string_view& data, std::int64_t& offset);
    const std::string& name() const noexcept { return name_; }

private:
    static long on_read(archive* handle, void* self, const void** buffer);
    [[noreturn]] void fail();

    archive* handle_;
    ByteSource source_;
    std::string name_;
    std::vector<char> buffer_;
    std::exception_ptr failure_;
};

} // namespace engine
