// A FAT file system as firmware reads it: by names of eight letters and three, from the first table, without repair.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace crash {

class Fat {
public:
    /// Reads `count` sectors of the file system from `first` on.
    using Read = std::function<void(std::uint64_t first, std::uint64_t count, std::uint8_t* into)>;
    /// Throws base::Error when there is no such file system in so many sectors.
    Fat(Read read, std::uint64_t sectors);

    struct Entry {
        std::uint32_t cluster = 0; ///< the first; 0: no content
        std::uint32_t size = 0;
        bool directory = false;
    };
    /// Along a path such as "EFI/BOOT/BOOTX64.EFI", in capitals. nullopt: one of the names is not there. Throws
    /// base::Error: a broken chain of clusters.
    std::optional<Entry> find(const std::string& path) const;
    /// At most `limit` bytes, more is an error.
    std::string read(const Entry& file, std::size_t limit) const;
    /// Of the content, in its order.
    std::vector<std::uint64_t> sectors(const Entry& entry) const;
    /// Of a directory's entries; the root's with an empty path.
    std::vector<std::uint64_t> directory_sectors(const std::string& path) const;
    /// What contradicts itself: a chain of clusters that leads astray, two files in one cluster, a file that is longer
    /// or shorter than its clusters. Empty: nothing. Clusters that are taken and belong to no file are none of it. The
    /// file at `unfinished` may be half written, as long as it has no cluster of another.
    std::string contradiction(const std::string& unfinished = {}) const;
    /// The first sector of the first table.
    std::uint64_t table() const noexcept { return table_; }

private:
    std::uint32_t next(std::uint32_t cluster) const;
    std::vector<std::uint64_t> chain(std::uint32_t first) const;
    std::uint64_t first_sector(std::uint32_t cluster) const noexcept {
        return data_ + static_cast<std::uint64_t>(cluster - 2) * cluster_sectors_;
    }
    bool shares(const Entry& file, const std::set<std::uint64_t>& taken) const;
    std::vector<std::uint64_t> sectors_of(const std::optional<Entry>& directory) const;
    std::optional<Entry> find_in(const std::optional<Entry>& directory, const std::string& name) const;
    struct Listed {
        std::string name; ///< "BOOTX64.EFI"
        Entry entry;
    };
    /// Without ".", "..", the volume's label and long names.
    std::vector<Listed> list(const std::optional<Entry>& directory) const;

    Read read_;
    std::uint64_t table_ = 0; ///< sectors
    std::uint64_t root_ = 0;
    std::uint64_t root_sectors_ = 0; ///< 0: FAT32, whose root is a chain
    std::uint64_t data_ = 0;
    std::uint32_t clusters_ = 0;
    std::uint32_t cluster_sectors_ = 0;
    std::uint32_t root_cluster_ = 0;
    unsigned bits_ = 16;
};

} // namespace crash
