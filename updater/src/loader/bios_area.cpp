#include <unistd.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/sha256.hpp"
#include "updater/loader_places.hpp"

namespace updater {

using base::sector_size;

namespace {

constexpr std::uint64_t alignment = 8; // sectors: a place begins at a physical sector of 4096 bytes
constexpr std::uint64_t smallest_partition = 64;

} // namespace

std::string_view to_string(LoaderState state) noexcept {
    switch (state) {
    case LoaderState::absent:
        return "absent";
    case LoaderState::empty:
        return "empty";
    case LoaderState::foreign:
        return "foreign";
    case LoaderState::unknown:
        return "unknown";
    case LoaderState::known:
        break;
    }
    return "known";
}

BiosArea::BiosArea(const std::string& device, Extent partition, bool writable)
    : device_(device), partition_(partition), place_sectors_(partition.sectors / 2 / alignment * alignment),
      fd_(base::open_file(device, writable ? O_RDWR : O_RDONLY)) {
    if (partition.first == 0 || partition.sectors < smallest_partition)
        throw base::Error(fmt::format("{}: the BIOS boot partition has {} sectors", device, partition.sectors));
}

std::string BiosArea::read(std::uint64_t sector, std::uint64_t count) const {
    std::string data(count * sector_size, '\0');
    for (std::size_t done = 0; done < data.size();) {
        const ssize_t size =
            ::pread(fd_.get(), data.data() + done, data.size() - done, static_cast<off_t>(sector * sector_size + done));
        if (size < 0 && errno == EINTR)
            continue;
        base::check(size, "read " + device_);
        if (size == 0)
            throw base::Error(EIO, fmt::format("read {}: it ends before sector {}", device_, sector + count));
        done += static_cast<std::size_t>(size);
    }
    return data;
}

void BiosArea::write(std::uint64_t sector, const std::string& data) const {
    base::write_all_at(fd_.get(), data, static_cast<off_t>(sector * sector_size), device_);
    base::check(::fsync(fd_.get()), "fsync " + device_);
    forget_cached(fd_.get());
    if (read(sector, data.size() / sector_size) != data)
        throw base::Error(EIO, fmt::format("{}: sector {}: not on the disk what was written", device_, sector));
}

std::optional<unsigned> BiosArea::used() const {
    const std::uint64_t pointer = base::core_place(read(0, 1));
    for (const unsigned number : {0U, 1U})
        if (pointer == place(number))
            return number;
    return {};
}

std::string BiosArea::id_at(unsigned number, const KnownLoaders& known) const {
    const std::uint64_t sectors = base::core_sectors(read(place(number), 1), place(number));
    if (sectors < 2 || sectors > place_sectors_)
        return {};
    const std::string digest = base::sha256_hex(base::neutral_core_image(read(place(number), sectors)));
    for (const auto& [id, manifest] : known)
        if (manifest.core == digest)
            return id;
    return {};
}

InstalledLoader BiosArea::look(const KnownLoaders& known) const {
    const std::string boot_sector = read(0, 1);
    if (boot_sector.substr(0x1fe) != "\x55\xaa" || boot_sector.find_first_not_of('\0') >= 0x1b8)
        return {LoaderState::empty, {}, "no boot code in the first sector"};
    const std::string digest = base::sha256_hex(base::neutral_boot_image(boot_sector));
    if (std::none_of(known.begin(), known.end(), [&](const auto& item) { return item.second.boot == digest; }))
        return {LoaderState::foreign, {}, "the boot code in the first sector is not GRUB's as an image of ours has it"};
    const std::optional<unsigned> number = used();
    if (!number)
        return {LoaderState::foreign, {}, "the boot code loads from outside of the BIOS boot partition's two places"};
    std::string id = id_at(*number, known);
    if (!id.empty())
        return {LoaderState::known, std::move(id), {}};
    // Not cut in two by what is written into the other place.
    const std::uint64_t sectors = base::core_sectors(read(place(*number), 1), place(*number));
    if (*number == 0 && sectors > place_sectors_)
        return {LoaderState::foreign, {}, "its core image reaches into the second half of the BIOS boot partition"};
    return {LoaderState::unknown, {}, "no boot loader that is known here: damaged, or older than they are told apart"};
}

std::string BiosArea::spare(const KnownLoaders& known) const {
    const std::optional<unsigned> number = used();
    return number ? id_at(1 - *number, known) : std::string();
}

void BiosArea::install(const CarriedLoader& loader) const {
    const unsigned number = used() == 0U ? 1 : 0;
    const std::string core = base::patch_core_image(loader.core_image, place(number));
    if (core.size() > place_sectors_ * sector_size)
        throw base::Error(ENOSPC, fmt::format("{}: a place of the BIOS boot partition has {} KiB, {} KiB are needed",
                                              device_, place_sectors_ / 2, core.size() / 1024));
    write(place(number), core);
    write(0, base::patch_boot_image(loader.boot_image, read(0, 1), place(number)));
}

} // namespace updater
