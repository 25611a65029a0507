#include "images/layer.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/sha256.hpp"
#include "base/unique_fd.hpp"

namespace engine {
namespace {

constexpr std::string_view whiteout_prefix = ".wh.";
constexpr std::string_view opaque_marker = ".wh..wh..opq";
constexpr std::string_view reserved_prefix = ".wh..wh.";
constexpr std::size_t remembered_limit = std::size_t{64} << 20;
constexpr std::uint64_t space_check_interval = std::uint64_t{16} << 20;

/// The bytes of a layer, decompressed, hashed as they pass.
class HashedTar {
public:
    HashedTar(ByteSource blob, const LayerLimits& limits, std::string name)
        : raw_(std::move(blob), ArchiveReader::Kind::raw, std::move(name)), limit_(limits.bytes) {
        ended_ = raw_.next() == nullptr;
    }
    std::size_t read(char* buffer, std::size_t size) {
        if (rest_.empty()) {
            std::int64_t offset = 0;
            while (!ended_ && rest_.empty()) // an empty block is not the end
                ended_ = !raw_.read_block(rest_, offset);
            if (ended_)
                return 0;
            total_ += rest_.size();
            if (total_ > limit_)
                throw base::Error(EFBIG, raw_.name());
            hash_.update(rest_);
        }
        const std::size_t count = std::min(size, rest_.size());
        std::memcpy(buffer, rest_.data(), count);
        rest_.remove_prefix(count);
        return count;
    }
    /// Reads what the tar reader left (padding after the end marker is part of the digest).
    std::string finish() {
        std::array<char, 4096> sink;
        while (read(sink.data(), sink.size()) != 0) {
        }
        return "sha256:" + hash_.finish_hex();
    }

private:
    ArchiveReader raw_;
    std::uint64_t limit_;
    std::uint64_t total_ = 0;
    bool ended_ = false;
    std::string_view rest_;
    base::Sha256 hash_;
};

struct Times {
    timespec values[2];
};

Times times_of(archive_entry* entry) {
    timespec modified{};
    if (archive_entry_mtime_is_set(entry) != 0)
        modified = {.tv_sec = archive_entry_mtime(entry), .tv_nsec = archive_entry_mtime_nsec(entry)};
    return {{modified, modified}};
}

enum class Purpose {
    layer, ///< whiteouts count; the tar's own entries may replace each other
    copy,  ///< into a directory that is somebody's already
};

class LayerWriter {
public:
    LayerWriter(int rootfd, Purpose purpose, const LayerLimits& limits, const std::string& name)
        : rootfd_(rootfd), purpose_(purpose), limits_(limits), name_(name) {}

    void extract(ArchiveReader& tar) {
        std::uint64_t entries = 0;
        while (archive_entry* entry = tar.next()) {
            if (++entries > limits_.entries)
                throw base::Error(fmt::format("{}: more than {} entries", name_, limits_.entries));
            const char* path = archive_entry_pathname(entry);
            if (path == nullptr)
                throw base::Error(name_ + ": an entry without a name");
            path_ = path;
            // The root's own entry is written "./" or "/".
            if (path_.find_first_not_of("./") == std::string::npos && path_.find("..") == std::string::npos) {
                if (archive_entry_filetype(entry) == AE_IFDIR)
                    write_root(entry);
                continue;
            }
            path_ = clean_path(path_);
            base::with_context(fmt::format("{}: {:?}", name_, path_), [&] { write_entry(entry, tar); });
        }
        set_directory_times();
    }
    std::uint64_t size() const noexcept { return size_; }

private:
    void write_entry(archive_entry* entry, ArchiveReader& tar);
    void write_root(archive_entry* entry);
    void write_whiteout(int parent, std::string_view base_name);
    void write_directory(archive_entry* entry, int parent, const std::string& base_name);
    void write_file(archive_entry* entry, ArchiveReader& tar, int parent, const std::string& base_name);
    void write_link(const char* target, int parent, const std::string& base_name);
    void write_special(archive_entry* entry, int parent, const std::string& base_name);
    void write_symlink(archive_entry* entry, int parent, const std::string& base_name);
    void set_metadata(archive_entry* entry, int fd);
    void set_directory_times();
    void check_space(std::uint64_t bytes);
    void remove_existing(int parent, const std::string& base_name);
    int parent_of(const std::string& path);
    base::UniqueFd make_parents(const std::string& directory);

    int rootfd_;
    Purpose purpose_;
    const LayerLimits& limits_;
    const std::string& name_;
    std::string path_;
    std::uint64_t size_ = 0;
    std::uint64_t unchecked_ = space_check_interval; // the first file checks
    // Archives list a directory's entries together: its descriptor is kept until a name that may be on the way to it
    // changes.
    std::string parent_path_;
    base::UniqueFd parent_;
    // Writing into a directory changes its times: they are set last.
    std::size_t remembered_ = 0; // bytes of these names, bounded
    std::map<std::string, Times> directory_times_;
};

base::UniqueFd LayerWriter::make_parents(const std::string& directory) {
    for (std::size_t end = 0; end != std::string::npos;) {
        end = directory.find('/', end == 0 ? 0 : end + 1);
        const std::string prefix = directory.substr(0, end);
        const std::size_t slash = prefix.rfind('/');
        const base::UniqueFd above =
            slash == std::string::npos
                ? base::UniqueFd(base::check(::fcntl(rootfd_, F_DUPFD_CLOEXEC, 3), "duplicate descriptor"))
                : base::open_in_root(rootfd_, prefix.substr(0, slash), O_PATH | O_DIRECTORY);
        const std::string last = slash == std::string::npos ? prefix : prefix.substr(slash + 1);
        if (::mkdirat(above.get(), last.c_str(), 0755) != 0 && errno != EEXIST)
            base::throw_errno("make directory " + prefix);
    }
    return base::open_in_root(rootfd_, directory, O_PATH | O_DIRECTORY);
}

int LayerWriter::parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos)
        return rootfd_;
    const std::string directory = path.substr(0, slash);
    if (parent_ && parent_path_ == directory)
        return parent_.get();
    try {
        parent_ = base::open_in_root(rootfd_, directory, O_PATH | O_DIRECTORY);
    } catch (const base::Error& error) {
        if (error.error() != ENOENT)
            throw;
        parent_ = make_parents(directory);
    }
    parent_path_ = directory;
    return parent_.get();
}

void LayerWriter::remove_existing(int parent, const std::string& base_name) {
    struct stat status {};
    if (::fstatat(parent, base_name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT)
            return;
        base::throw_errno("stat");
    }
    if (purpose_ == Purpose::copy && S_ISDIR(status.st_mode))
        throw base::Error(EISDIR, fmt::format("replace the directory {:?} by something else", base_name));
    base::remove_tree_at(parent, base_name);
    if (!S_ISREG(status.st_mode))
        parent_path_.clear(); // a directory or symlink on the way to the kept one may be gone
}

void LayerWriter::write_entry(archive_entry* entry, ArchiveReader& tar) {
    const std::size_t slash = path_.rfind('/');
    const std::string base_name = slash == std::string::npos ? path_ : path_.substr(slash + 1);
    if (parent_path_.empty())
        parent_.reset();
    const int parent = parent_of(path_);
    if (purpose_ == Purpose::layer && base_name.starts_with(whiteout_prefix)) {
        write_whiteout(parent, base_name);
        return;
    }
    if (const char* target = archive_entry_hardlink(entry)) {
        write_link(target, parent, base_name);
        return;
    }
    switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
        write_file(entry, tar, parent, base_name);
        break;
    case AE_IFDIR:
        write_directory(entry, parent, base_name);
        break;
    case AE_IFLNK:
        write_symlink(entry, parent, base_name);
        break;
    case AE_IFCHR:
    case AE_IFBLK:
    case AE_IFIFO:
        write_special(entry, parent, base_name);
        break;
    default:
        throw base::Error("a type of file that a layer cannot hold");
    }
}

void LayerWriter::write_root(archive_entry* entry) {
    set_metadata(entry, rootfd_);
    directory_times_[""] = times_of(entry);
}

void LayerWriter::write_whiteout(int parent, std::string_view base_name) {
    if (base_name == opaque_marker) {
        // The parent was opened with O_PATH, which takes no extended attributes.
        const base::UniqueFd directory = base::open_at(parent, ".", O_RDONLY | O_DIRECTORY);
        base::check(::fsetxattr(directory.get(), "trusted.overlay.opaque", "y", 1, 0), "set trusted.overlay.opaque");
        return;
    }
    if (base_name.starts_with(reserved_prefix))
        return; // AUFS's own (.wh..wh.plnk): no part of the image
    const std::string hidden(base_name.substr(whiteout_prefix.size()));
    if (hidden.empty() || hidden == "." || hidden == "..")
        throw base::Error("a whiteout that names nothing");
    remove_existing(parent, hidden);
    base::check(::mknodat(parent, hidden.c_str(), S_IFCHR | 0, makedev(0, 0)), "make whiteout");
}

void LayerWriter::write_directory(archive_entry* entry, int parent, const std::string& base_name) {
    if (::mkdirat(parent, base_name.c_str(), 0700) != 0) {
        struct stat status {};
        if (errno != EEXIST || ::fstatat(parent, base_name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
            base::throw_errno("make directory");
        if (!S_ISDIR(status.st_mode)) {
            if (purpose_ == Purpose::copy)
                throw base::Error(ENOTDIR, fmt::format("replace {:?} by a directory", base_name));
            remove_existing(parent, base_name);
            base::check(::mkdirat(parent, base_name.c_str(), 0700), "make directory");
        }
    }
    const base::UniqueFd directory = base::open_at(parent, base_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    set_metadata(entry, directory.get());
    remembered_ += path_.size();
    if (remembered_ > remembered_limit)
        throw base::Error("too many directories");
    directory_times_[path_] = times_of(entry);
}

void LayerWriter::check_space(std::uint64_t bytes) {
    size_ += bytes;
    if (size_ > limits_.bytes)
        throw base::Error(EFBIG, fmt::format("more than {} bytes", limits_.bytes));
    unchecked_ += bytes;
    if (unchecked_ < space_check_interval)
        return;
    unchecked_ = 0;
    struct statvfs space {};
    base::check(::fstatvfs(rootfd_, &space), "statvfs");
    if (std::uint64_t{space.f_bavail} * space.f_frsize < limits_.free_bytes)
        throw base::Error(ENOSPC, fmt::format("less than {} MiB left for images", limits_.free_bytes >> 20));
}

void LayerWriter::write_file(archive_entry* entry, ArchiveReader& tar, int parent, const std::string& base_name) {
    remove_existing(parent, base_name);
    base::UniqueFd file = base::open_at(parent, base_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    const std::int64_t size = archive_entry_size(entry);
    if (size < 0 || static_cast<std::uint64_t>(size) > limits_.bytes)
        throw base::Error(EFBIG, fmt::format("a file of {} bytes", size));
    std::string_view block;
    std::int64_t offset = 0;
    std::int64_t end = 0;
    while (tar.read_block(block, offset)) {
        if (offset < end || static_cast<std::uint64_t>(size - end) < block.size() || offset > size)
            throw base::Error("data outside of the file");
        check_space(block.size());
        base::write_all_at(file.get(), block, offset, base_name);
        end = offset + static_cast<std::int64_t>(block.size());
    }
    if (end < size) // a hole at the end of a sparse file
        base::check(::ftruncate(file.get(), size), "truncate");
    set_metadata(entry, file.get());
    base::check(::futimens(file.get(), times_of(entry).values), "set times");
    base::checked_close(std::move(file), base_name);
}

void LayerWriter::write_link(const char* target, int parent, const std::string& base_name) {
    const std::string path = clean_path(target);
    const std::size_t slash = path.rfind('/');
    const base::UniqueFd directory =
        base::open_in_root(rootfd_, slash == std::string::npos ? "." : path.substr(0, slash), O_PATH | O_DIRECTORY);
    const std::string last = slash == std::string::npos ? path : path.substr(slash + 1);
    struct stat existing {};
    struct stat wanted {};
    base::check(::fstatat(directory.get(), last.c_str(), &wanted, AT_SYMLINK_NOFOLLOW), "hard link to " + path);
    if (::fstatat(parent, base_name.c_str(), &existing, AT_SYMLINK_NOFOLLOW) == 0 && existing.st_ino == wanted.st_ino &&
        existing.st_dev == wanted.st_dev)
        return; // a link to itself must not remove what it names
    remove_existing(parent, base_name);
    // Without AT_SYMLINK_FOLLOW a link to a symlink is the symlink's own.
    base::check(::linkat(directory.get(), last.c_str(), parent, base_name.c_str(), 0), "hard link to " + path);
}

void LayerWriter::write_symlink(archive_entry* entry, int parent, const std::string& base_name) {
    const char* target = archive_entry_symlink(entry);
    if (target == nullptr || *target == '\0')
        throw base::Error("a symbolic link to nothing");
    remove_existing(parent, base_name);
    parent_path_.clear();
    base::check(::symlinkat(target, parent, base_name.c_str()), "make symbolic link");
    set_metadata(entry, -1);
    base::check(::fchownat(parent, base_name.c_str(), static_cast<uid_t>(archive_entry_uid(entry)),
                           static_cast<gid_t>(archive_entry_gid(entry)), AT_SYMLINK_NOFOLLOW),
                "set owner");
    base::check(::utimensat(parent, base_name.c_str(), times_of(entry).values, AT_SYMLINK_NOFOLLOW), "set times");
}

void LayerWriter::write_special(archive_entry* entry, int parent, const std::string& base_name) {
    remove_existing(parent, base_name);
    const mode_t type = archive_entry_filetype(entry);
    const dev_t device = type == AE_IFIFO ? 0
                                          : makedev(static_cast<unsigned>(archive_entry_rdevmajor(entry)),
                                                    static_cast<unsigned>(archive_entry_rdevminor(entry)));
    set_metadata(entry, -1);
    base::check(::mknodat(parent, base_name.c_str(), type | 0600, device), "make device");
    base::check(::fchownat(parent, base_name.c_str(), static_cast<uid_t>(archive_entry_uid(entry)),
                           static_cast<gid_t>(archive_entry_gid(entry)), AT_SYMLINK_NOFOLLOW),
                "set owner");
    // Just made by mknod in a tree only root reaches: no symlink to follow.
    base::check(::fchmodat(parent, base_name.c_str(), archive_entry_mode(entry) & 07777, 0), "set mode");
    base::check(::utimensat(parent, base_name.c_str(), times_of(entry).values, AT_SYMLINK_NOFOLLOW), "set times");
}

/// Whether an image may set this attribute. trusted.* is overlayfs's own language (redirects), other security.*
/// attributes belong to the host's modules.
bool accepts_xattr(std::string_view name) {
    return name.starts_with("user.") || name == "security.capability" || name == "system.posix_acl_access" ||
           name == "system.posix_acl_default";
}

/// Checks the owner; with a descriptor sets owner, mode and extended attributes, in the order in which the kernel does
/// not take them away again (chown clears set-user-id bits and capabilities).
void LayerWriter::set_metadata(archive_entry* entry, int fd) {
    const std::int64_t uid = archive_entry_uid(entry);
    const std::int64_t gid = archive_entry_gid(entry);
    constexpr std::int64_t unchanged = UINT32_MAX; // chown(2) takes it as "keep"
    if (uid < 0 || uid >= unchanged || gid < 0 || gid >= unchanged)
        throw base::Error(fmt::format("an owner that cannot be: {}:{}", uid, gid));
    if (fd < 0)
        return;
    base::check(::fchown(fd, static_cast<uid_t>(uid), static_cast<gid_t>(gid)), "set owner");
    base::check(::fchmod(fd, archive_entry_mode(entry) & 07777), "set mode");
    const char* key = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &key, &value, &size) == ARCHIVE_OK) {
        if (std::string_view(key).starts_with("trusted."))
            throw base::Error(fmt::format("attribute {:?}, which an image may not set", key));
        if (accepts_xattr(key) && ::fsetxattr(fd, key, value, size, 0) != 0 && errno != EOPNOTSUPP)
            base::throw_errno(fmt::format("set attribute {}", key));
    }
}

void LayerWriter::set_directory_times() {
    for (const auto& [path, times] : directory_times_) {
        if (path.empty()) {
            base::check(::futimens(rootfd_, times.values), "set times");
            continue;
        }
        // A later entry may have put something else there.
        const std::size_t slash = path.rfind('/');
        try {
            const base::UniqueFd parent = base::open_in_root(
                rootfd_, slash == std::string::npos ? "." : path.substr(0, slash), O_PATH | O_DIRECTORY);
            const base::UniqueFd directory =
                base::open_at(parent.get(), slash == std::string::npos ? path : path.substr(slash + 1),
                              O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
            base::check(::futimens(directory.get(), times.values), "set times");
        } catch (const base::Error& error) {
            if (error.error() != ENOENT && error.error() != ENOTDIR && error.error() != ELOOP)
                throw;
        }
    }
}

} // namespace

std::string clean_path(std::string_view path) {
    if (path.size() > 4096)
        throw base::Error(ENAMETOOLONG, fmt::format("{:?}", path.substr(0, 64)));
    std::string clean;
    for (std::size_t begin = 0; begin <= path.size();) {
        const std::size_t end = std::min(path.find('/', begin), path.size());
        const std::string_view component = path.substr(begin, end - begin);
        begin = end + 1;
        if (component.empty() || component == ".")
            continue;
        if (component == "..")
            throw base::Error(fmt::format("{:?}: a path with \"..\"", path));
        if (!clean.empty())
            clean += '/';
        clean += component;
    }
    if (clean.empty())
        throw base::Error(fmt::format("{:?}: a path that names nothing", path));
    return clean;
}

ExtractedLayer extract_layer(const ByteSource& blob, int rootfd, const LayerLimits& limits, const std::string& name) {
    HashedTar bytes(blob, limits, name);
    ExtractedLayer layer;
    {
        ArchiveReader tar([&](char* buffer, std::size_t size) { return bytes.read(buffer, size); },
                          ArchiveReader::Kind::tar, name);
        LayerWriter writer(rootfd, Purpose::layer, limits, name);
        writer.extract(tar);
        layer.size = writer.size();
    }
    layer.diff_id = bytes.finish();
    return layer;
}

void unpack_into(const ByteSource& tar, int directory, const LayerLimits& limits, const std::string& name) {
    ArchiveReader reader(tar, ArchiveReader::Kind::tar, name);
    LayerWriter(directory, Purpose::copy, limits, name).extract(reader);
}

} // namespace engine
