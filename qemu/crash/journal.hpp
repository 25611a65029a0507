// What the kernel does to an ext4 file system at mount after a power cut: replays its journal (jbd2; the format is in
// Documentation/filesystems/ext4/journal.rst). Written anew here instead of running e2fsck on a copy, because it is
// done for every state; a test compares the two.
#pragma once
#include <cstdint>
#include <vector>

#include "crash/disk.hpp"

namespace crash {

class Journal {
public:
    /// Where the journal is, found on a clean disk: it never moves. Throws base::Error.
    Journal(const Disk& disk, const Extent& where);

    struct Outcome {
        std::uint64_t transactions = 0;
        std::uint64_t blocks = 0; ///< written in place
    };
    /// Replays on `disk` (whose changes the caller takes back) and marks the file system clean. Throws base::Error
    /// where the kernel would refuse to mount.
    Outcome recover(Disk& disk) const;

private:
    Extent where_;
    std::vector<std::uint64_t> places_; ///< block of the partition of each of the journal's blocks
};

/// The file system's blocks that a journal's descriptor block names, whatever its checksum; none for any other block.
std::vector<std::uint64_t> journal_targets(const std::uint8_t* block);

} // namespace crash
