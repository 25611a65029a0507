// Archives by libarchive: tar made in memory, zstd, and the content of Debian packages.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace image {

/// A ustar archive whose bytes depend on its entries only: owner 0:0, one time for all.
class TarWriter {
public:
    explicit TarWriter(std::int64_t time = 0);
    ~TarWriter();
    TarWriter(const TarWriter&) = delete;
    TarWriter& operator=(const TarWriter&) = delete;

    /// Paths are relative. Throws base::Error.
    void add_directory(const std::string& path, mode_t permissions = 0755);
    void add_file(const std::string& path, std::string_view content, mode_t permissions = 0644);
    void add_symlink(const std::string& path, const std::string& target);
    std::string finish();

private:
    struct State;
    void add(const std::string& path, mode_t mode, std::string_view content, const std::string& link);
    std::unique_ptr<State> state_;
    std::int64_t time_;
};

/// One zstd frame.
std::string compress_zstd(std::string_view data, int level);

/// One entry of a Debian package's data archive.
struct PackageEntry {
    enum class Kind { directory, file, symlink, hardlink };
    Kind kind = Kind::file;
    std::string path; ///< relative, no "." or ".." in it
    std::string link; ///< a symlink's target as it is; a hardlink's target as `path`
    mode_t permissions = 0;
    std::uint64_t size = 0;
};

/// Gives the next piece of a file's content; empty at its end.
using ContentSource = std::function<std::string_view()>;

/// Calls `visit` for every entry of the data archive of a .deb in its order. Content not asked for is skipped.
/// Device nodes and paths that leave the tree are an error. Throws base::Error naming the file.
void read_package(const std::string& path, const std::function<void(const PackageEntry&, const ContentSource&)>& visit);

} // namespace image
