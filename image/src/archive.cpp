#include "image/archive.hpp"

#include <sys/stat.h>

#include <archive.h>
#include <archive_entry.h>

#include <array>
#include <vector>

#include "base/error.hpp"
#include "image/tree_path.hpp"

namespace image {
namespace {

struct ReadFree {
    void operator()(archive* handle) const noexcept { archive_read_free(handle); }
};
struct WriteFree {
    void operator()(archive* handle) const noexcept { archive_write_free(handle); }
};
struct EntryFree {
    void operator()(archive_entry* entry) const noexcept { archive_entry_free(entry); }
};
using Reader = std::unique_ptr<archive, ReadFree>;
using Writer = std::unique_ptr<archive, WriteFree>;

[[noreturn]] void fail(archive* handle, const std::string& what) {
    const char* text = archive_error_string(handle);
    throw base::Error(what + ": " + (text != nullptr ? text : "archive error"));
}

void check(archive* handle, int result, const std::string& what) {
    if (result < ARCHIVE_WARN)
        fail(handle, what);
}

la_ssize_t append(archive* /*handle*/, void* output, const void* data, std::size_t size) {
    static_cast<std::string*>(output)->append(static_cast<const char*>(data), size);
    return static_cast<la_ssize_t>(size);
}

Writer make_writer(int (*set_format)(archive*)) {
    Writer writer(archive_write_new());
    if (!writer)
        throw std::bad_alloc();
    check(writer.get(), set_format(writer.get()), "archive format");
    archive_write_set_bytes_per_block(writer.get(), 0); // what is added goes out at once, unpadded
    return writer;
}

/// The data archive inside the package, read through the outer ar archive.
struct Nested {
    archive* outer;
    std::array<char, 65536> buffer;
};

la_ssize_t read_nested(archive* /*inner*/, void* data, const void** block) {
    auto* nested = static_cast<Nested*>(data);
    *block = nested->buffer.data();
    return archive_read_data(nested->outer, nested->buffer.data(), nested->buffer.size());
}

PackageEntry describe(archive_entry* entry, const std::string& package) {
    PackageEntry result;
    const char* name = archive_entry_pathname(entry);
    if (name == nullptr)
        throw base::Error(package + ": an entry without a name");
    result.path = clean_path(name);
    result.permissions = archive_entry_perm(entry);
    if (const char* target = archive_entry_hardlink(entry)) {
        result.kind = PackageEntry::Kind::hardlink;
        result.link = clean_path(target);
        return result;
    }
    switch (archive_entry_filetype(entry)) {
    case AE_IFDIR:
        result.kind = PackageEntry::Kind::directory;
        break;
    case AE_IFREG:
        result.kind = PackageEntry::Kind::file;
        result.size = static_cast<std::uint64_t>(archive_entry_size(entry));
        break;
    case AE_IFLNK:
        result.kind = PackageEntry::Kind::symlink;
        result.link = archive_entry_symlink(entry);
        break;
    default:
        throw base::Error(package + ": " + result.path + ": neither file, directory nor link");
    }
    return result;
}

void read_data_archive(archive* outer, const std::string& package,
                       const std::function<void(const PackageEntry&, const ContentSource&)>& visit) {
    Reader inner(archive_read_new());
    archive_read_support_filter_all(inner.get());
    archive_read_support_format_tar(inner.get());
    auto nested = std::make_unique<Nested>();
    nested->outer = outer;
    check(inner.get(), archive_read_open(inner.get(), nested.get(), nullptr, read_nested, nullptr), package);

    std::vector<char> buffer(1 << 18);
    const ContentSource content = [&]() -> std::string_view {
        const la_ssize_t count = archive_read_data(inner.get(), buffer.data(), buffer.size());
        if (count < 0)
            fail(inner.get(), package);
        return {buffer.data(), static_cast<std::size_t>(count)};
    };
    archive_entry* entry = nullptr;
    int result = ARCHIVE_OK;
    while ((result = archive_read_next_header(inner.get(), &entry)) != ARCHIVE_EOF) {
        check(inner.get(), result, package);
        const PackageEntry described = describe(entry, package);
        if (!described.path.empty())
            visit(described, content);
    }
}

} // namespace

struct TarWriter::State {
    std::string output;
    Writer writer;
};

TarWriter::TarWriter(std::int64_t time) : state_(std::make_unique<State>()), time_(time) {
    state_->writer = make_writer(archive_write_set_format_ustar);
    check(state_->writer.get(), archive_write_open(state_->writer.get(), &state_->output, nullptr, append, nullptr),
          "tar");
}

TarWriter::~TarWriter() = default;

void TarWriter::add(const std::string& path, mode_t mode, std::string_view content, const std::string& link) {
    const std::unique_ptr<archive_entry, EntryFree> entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), path.c_str());
    archive_entry_set_mode(entry.get(), mode);
    archive_entry_set_uid(entry.get(), 0);
    archive_entry_set_gid(entry.get(), 0);
    archive_entry_set_mtime(entry.get(), time_, 0);
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(content.size()));
    if (!link.empty())
        archive_entry_set_symlink(entry.get(), link.c_str());
    archive* handle = state_->writer.get();
    check(handle, archive_write_header(handle, entry.get()), "tar: " + path);
    if (!content.empty() && archive_write_data(handle, content.data(), content.size()) < 0)
        fail(handle, "tar: " + path);
}

void TarWriter::add_directory(const std::string& path, mode_t permissions) {
    add(path, S_IFDIR | permissions, {}, {});
}

void TarWriter::add_file(const std::string& path, std::string_view content, mode_t permissions) {
    add(path, S_IFREG | permissions, content, {});
}

void TarWriter::add_symlink(const std::string& path, const std::string& target) {
    add(path, S_IFLNK | 0777, {}, target);
}

std::string TarWriter::finish() {
    check(state_->writer.get(), archive_write_close(state_->writer.get()), "tar");
    return std::move(state_->output);
}

std::string compress_zstd(std::string_view data, int level) {
    std::string output;
    Writer writer = make_writer(archive_write_set_format_raw);
    archive* handle = writer.get();
    check(handle, archive_write_add_filter_zstd(handle), "zstd");
    check(handle, archive_write_set_filter_option(handle, "zstd", "compression-level", std::to_string(level).c_str()),
          "zstd");
    check(handle, archive_write_open(handle, &output, nullptr, append, nullptr), "zstd");
    const std::unique_ptr<archive_entry, EntryFree> entry(archive_entry_new());
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    check(handle, archive_write_header(handle, entry.get()), "zstd");
    while (!data.empty()) {
        const la_ssize_t count = archive_write_data(handle, data.data(), data.size());
        if (count <= 0)
            fail(handle, "zstd");
        data.remove_prefix(static_cast<std::size_t>(count));
    }
    check(handle, archive_write_close(handle), "zstd");
    return output;
}

void read_package(const std::string& path,
                  const std::function<void(const PackageEntry&, const ContentSource&)>& visit) {
    Reader outer(archive_read_new());
    archive_read_support_format_ar(outer.get());
    check(outer.get(), archive_read_open_filename(outer.get(), path.c_str(), 65536), path);
    archive_entry* entry = nullptr;
    int result = ARCHIVE_OK;
    while ((result = archive_read_next_header(outer.get(), &entry)) != ARCHIVE_EOF) {
        check(outer.get(), result, path);
        if (std::string_view(archive_entry_pathname(entry)).starts_with("data.tar"))
            return read_data_archive(outer.get(), path, visit);
    }
    throw base::Error(path + ": not a Debian package: no data archive in it");
}

} // namespace image
