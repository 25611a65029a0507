// An ext4 file system on a partition of a rebuilt disk, read by libext2fs through a block layer of ours, and without
// its journal: as GRUB reads it, or, on a disk whose journal was replayed before (journal.hpp), as the kernel would.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crash/disk.hpp"

namespace crash {

using Inode = std::uint32_t;

struct FileStatus {
    Inode inode = 0;
    std::uint32_t mode = 0; ///< as st_mode
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint64_t size = 0;
    bool has_attributes = false; ///< extended ones, in a block of their own
    bool directory() const noexcept { return (mode & 0170000U) == 0040000U; }
    bool regular() const noexcept { return (mode & 0170000U) == 0100000U; }
    bool link() const noexcept { return (mode & 0170000U) == 0120000U; }
};

struct Name {
    std::string name;
    Inode inode = 0;
};

class Ext4 {
public:
    /// As GRUB reads: checksums and "not yet written" extents do not count.
    enum class Reader { kernel, grub };
    /// Throws base::Error when there is no such file system.
    Ext4(const Disk& disk, const Extent& where, Reader reader);
    ~Ext4();
    Ext4(const Ext4&) = delete;
    Ext4& operator=(const Ext4&) = delete;

    static constexpr Inode root = 2;
    static constexpr Inode journal = 8;

    /// Throws base::Error: a broken inode.
    FileStatus status(Inode inode) const;
    /// In that directory alone; nullopt when it is not there (or not a directory).
    std::optional<Inode> find(Inode directory, const std::string& name) const;
    /// Along a path from `from`, through symlinks; a link from the top starts at the root directory.
    std::optional<Inode> resolve(const std::string& path, Inode from = root) const;
    /// Without "." and "..", sorted.
    std::vector<Name> list(Inode directory) const;
    /// At most `limit` bytes, more is an error.
    std::string read(Inode inode, std::size_t limit = 64UL << 20U) const;
    std::string link_target(Inode inode) const;
    /// Equal for equal content of a file (or directory, or link) at the same place. Reads no data.
    std::uint64_t content_key(Inode inode) const;
    /// The partition's block of each of the file's blocks; 0 for a hole.
    std::vector<std::uint64_t> blocks(Inode inode) const;
    std::size_t block_size() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace crash
