// Commits that no tool would make: objects put together byte by byte, each with the right digest.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace updater_test {

class EvilRepository {
public:
    explicit EvilRepository(std::string directory) : directory_(std::move(directory)) {}

    struct Directory {
        std::string name;
        std::string tree; ///< checksums
        std::string meta;
    };
    /// A regular file or whatever `mode` says; returns its checksum.
    std::string file(std::uint32_t mode, const std::string& content);
    std::string meta(std::uint32_t mode);
    std::string tree(const std::vector<std::pair<std::string, std::string>>& files,
                     const std::vector<Directory>& directories);
    /// A commit of that tree, of version 2 for atoll/stable, which tells the sizes of every object made so far.
    std::string commit(const std::string& tree, const std::string& meta);

private:
    std::string store(const std::string& checksum, const std::string& extension, const std::string& bytes);
    std::string directory_;
    std::vector<std::string> entries_;
};

} // namespace updater_test
