// The commit block of ext4's journal is 4 KiB, its header is in the first sector, and its checksum is of all of them.
// Power lost while it is written leaves the header before what stood there in an earlier round of the log, and Linux
// before 6.8 then mounts the file system no more ("journal transaction N is corrupt"). What follows the header are
// zeros: put there, the checksum tells whether that was it, and the transaction is whole, since all of it was flushed
// before.
#pragma once
#include <cstdint>
#include <span>

namespace init {

/// A device, or what stands for one in a test. False: not all of it could be read or written.
class DeviceBytes {
public:
    virtual bool read(std::uint64_t offset, std::span<std::uint8_t> into) noexcept = 0;
    virtual bool write(std::uint64_t offset, std::span<const std::uint8_t> bytes) noexcept = 0;

protected:
    ~DeviceBytes() = default;
};

/// Follows the log to its end; true: its last commit block was torn, and is whole now. Journals in the file system
/// itself, in at most four extents, with checksums of version 3: what mke2fs makes.
bool mend_torn_commit(DeviceBytes& device) noexcept;

/// The same on a device node, which is synced then; logged.
bool mend_torn_commit(const char* device) noexcept;

} // namespace init
