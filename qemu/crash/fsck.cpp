#include "crash/fsck.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/process.hpp"

namespace crash {

void copy_sparse(const std::string& from, std::uint64_t offset, std::uint64_t size, const std::string& to) {
    const base::UniqueFd source = base::open_file(from, O_RDONLY);
    base::UniqueFd target = base::open_file(to, O_RDWR | O_CREAT | O_TRUNC, 0644);
    base::check(::ftruncate(target.get(), static_cast<off_t>(size)), "truncate " + to);
    const auto end = static_cast<off_t>(offset + size);
    std::string buffer(1UL << 20U, '\0');
    for (off_t at = static_cast<off_t>(offset); at < end;) {
        const off_t data = ::lseek(source.get(), at, SEEK_DATA);
        if (data < 0 || data >= end)
            break; // nothing but a hole
        const off_t hole = std::min(base::check(::lseek(source.get(), data, SEEK_HOLE), "seek in " + from), end);
        for (at = data; at < hole;) {
            const auto want = std::min(buffer.size(), static_cast<std::size_t>(hole - at));
            const ssize_t got = base::check(::pread(source.get(), buffer.data(), want, at), "read " + from);
            if (got == 0)
                throw base::Error(from + ": shorter than expected");
            base::write_all_at(target.get(), std::string_view(buffer).substr(0, static_cast<std::size_t>(got)),
                               at - static_cast<off_t>(offset), to);
            at += got;
        }
    }
    base::checked_close(std::move(target), to);
}

Fsck::Fsck(const Extent& where, const std::string& base_image, const std::string& directory)
    : where_(where), path_(directory + "/" + where.name + ".scratch") {
    copy_sparse(base_image, where.first * sector_size, where.sectors * sector_size, path_);
    file_ = base::open_file(path_, O_RDWR);
}

Fsck::~Fsck() {
    ::unlink(path_.c_str());
}

const std::string& Fsck::materialise(const Disk& disk) {
    const std::vector<std::uint64_t>& touched = disk.touched();
    for (; touched_seen_ < touched.size(); ++touched_seen_)
        if (touched[touched_seen_] - where_.first < where_.sectors)
            touched_.push_back(touched[touched_seen_]);
    for (const std::uint64_t sector : touched_) {
        ContentId& there = there_[sector];
        const ContentId wanted = disk.id(sector);
        if (there == wanted)
            continue;
        base::write_all_at(file_.get(), {reinterpret_cast<const char*>(disk.sector(sector)), sector_size},
                           static_cast<off_t>((sector - where_.first) * sector_size), path_);
        there = wanted;
    }
    return path_;
}

std::string Fsck::check(const Disk& disk) {
    std::uint64_t key = 0;
    for (const std::uint64_t sector : metadata_)
        key = mix(key, disk.id(sector));
    const auto [found, is_new] = known_.try_emplace(key);
    if (!is_new)
        return found->second;
    ++runs_;
    materialise(disk);
    base::RunResult result = base::run({"e2fsck", "-fn", path_});
    if (result.status.code != 0 && has_orphans(disk)) {
        // Files that were deleted while open: the kernel removes them at mount. So does e2fsck -p, which then looks no
        // further.
        const std::string copy = path_ + ".mounted";
        copy_sparse(path_, 0, where_.sectors * sector_size, copy);
        result = base::run({"e2fsck", "-p", copy});
        if (result.status.code <= 1)
            result = base::run({"e2fsck", "-fn", copy});
        ::unlink(copy.c_str());
    }
    if (result.status.code != 0)
        found->second = fmt::format("{}: e2fsck: {}: {}", where_.name, result.status.describe(), result.output);
    return found->second;
}

bool Fsck::has_orphans(const Disk& disk) const {
    constexpr std::uint64_t super_sector = 2;
    constexpr std::size_t last_orphan_at = 0xe8;
    const std::uint8_t* super = disk.sector(where_.first + super_sector);
    return std::any_of(super + last_orphan_at, super + last_orphan_at + 4, [](std::uint8_t byte) { return byte != 0; });
}

} // namespace crash
