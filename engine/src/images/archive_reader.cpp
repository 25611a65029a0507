#include "images/archive_reader.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include "base/error.hpp"

namespace engine {
namespace {

constexpr std::size_t buffer_size = 128 * 1024;

} // namespace

ByteSource descriptor_source(int fd, std::string name) {
    return [fd, name = std::move(name)](char* buffer, std::size_t size) {
        while (true) {
            const ssize_t count = ::read(fd, buffer, size);
            if (count >= 0)
                return static_cast<std::size_t>(count);
            if (errno != EINTR)
                base::throw_errno("read " + name);
        }
    };
}

ArchiveReader::ArchiveReader(ByteSource source, Kind kind, std::string name)
    : handle_(archive_read_new()), source_(std::move(source)), name_(std::move(name)), buffer_(buffer_size) {
    if (handle_ == nullptr)
        throw base::Error(ENOMEM, "read " + name_);
    archive_read_support_filter_gzip(handle_);
    archive_read_support_filter_zstd(handle_);
    archive_read_support_filter_xz(handle_);
    if (kind == Kind::tar) {
        archive_read_support_format_tar(handle_);
    } else {
        archive_read_support_format_raw(handle_);
        archive_read_support_format_empty(handle_);
    }
    if (archive_read_open(handle_, this, nullptr, &ArchiveReader::on_read, nullptr) != ARCHIVE_OK) {
        const std::string reason =
            archive_error_string(handle_) != nullptr ? archive_error_string(handle_) : "no archive";
        archive_read_free(handle_);
        if (failure_)
            std::rethrow_exception(failure_);
        throw base::Error(fmt::format("{}: {}", name_, reason));
    }
}

ArchiveReader::~ArchiveReader() {
    archive_read_free(handle_);
}

long ArchiveReader::on_read(archive* handle, void* self, const void** buffer) {
    auto& reader = *static_cast<ArchiveReader*>(self);
    try {
        *buffer = reader.buffer_.data();
        return static_cast<long>(reader.source_(reader.buffer_.data(), reader.buffer_.size()));
    } catch (...) {
        // No exception may pass through C code: it is thrown again by whoever called libarchive.
        reader.failure_ = std::current_exception();
        archive_set_error(handle, EIO, "read failed");
        return -1;
    }
}

void ArchiveReader::fail() {
    if (failure_)
        std::rethrow_exception(failure_);
    const char* reason = archive_error_string(handle_);
    throw base::Error(fmt::format("{}: {}", name_, reason != nullptr ? reason : "damaged archive"));
}

archive_entry* ArchiveReader::next() {
    archive_entry* entry = nullptr;
    // ARCHIVE_WARN is a name that the locale cannot show; the bytes are kept.
    const int result = archive_read_next_header(handle_, &entry);
    if (result == ARCHIVE_EOF)
        return nullptr;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
        fail();
    return entry;
}

bool ArchiveReader::read_block(std::string_view& data, std::int64_t& offset) {
    const void* block = nullptr;
    std::size_t size = 0;
    la_int64_t place = 0;
    const int result = archive_read_data_block(handle_, &block, &size, &place);
    if (result == ARCHIVE_EOF)
        return false;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
        fail();
    data = {static_cast<const char*>(block), size};
    offset = place;
    return true;
}

} // namespace engine
