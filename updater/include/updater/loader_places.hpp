// The two places on a disk that firmware starts GRUB from, and how the image there is replaced so that every state a
// power cut can leave has the old one or the new one, whole.
#pragma once
#include <string>

#include "updater/boot_disk.hpp"
#include "updater/loader_files.hpp"

namespace updater {

/// absent: the disk has no such place. empty: it has, with nothing in it. foreign: not ours, never written over.
/// unknown: laid out as ours, but no manifest knows it: damaged, or put there before boot loaders had manifests.
/// known: as the manifest of `id` says.
enum class LoaderState { absent, empty, foreign, unknown, known };
std::string_view to_string(LoaderState state) noexcept;

struct InstalledLoader {
    LoaderState state = LoaderState::absent;
    std::string id;     ///< when known
    std::string detail; ///< when foreign or unknown: what is wrong
};

/// BIOS: boot sector and BIOS boot partition. The partition has two places for core.img, its halves, and the boot
/// sector says which one is used: the other is written, flushed and read back, then the boot sector, one sector, is
/// switched.
class BiosArea {
public:
    /// Throws base::Error. `device`: the whole disk.
    BiosArea(const std::string& device, Extent partition, bool writable);

    InstalledLoader look(const KnownLoaders& known) const;
    /// The boot loader in the place that is not used; empty: none that is known.
    std::string spare(const KnownLoaders& known) const;
    /// Replaces a boot loader that `look` did not find foreign. Throws base::Error.
    void install(const CarriedLoader& loader) const;

    std::uint64_t place(unsigned number) const noexcept { return partition_.first + number * place_sectors_; }

private:
    std::string read(std::uint64_t sector, std::uint64_t count) const;
    void write(std::uint64_t sector, const std::string& data) const;
    /// Which place the boot sector uses; nullopt: none of them.
    std::optional<unsigned> used() const;
    std::string id_at(unsigned number, const KnownLoaders& known) const;

    std::string device_;
    Extent partition_;
    std::uint64_t place_sectors_;
    base::UniqueFd fd_;
};

/// UEFI: EFI/BOOT/BOOTX64.EFI below a mounted ESP. The new image is written beside it, flushed and read back, and takes
/// its name; the old one's clusters are not freed before that is on the disk.
/// Throws base::Error when there is no room for another image; removes what an update that was cut off left.
void prepare_efi(const std::string& esp, const CarriedLoader& loader);
InstalledLoader look_at_efi(const std::string& esp, const KnownLoaders& known);
void install_efi(const std::string& esp, const CarriedLoader& loader);

/// The ESP in a directory of its own, in this process's mount namespace. FAT needs no journal, and has none.
class MountedEsp {
public:
    MountedEsp(const std::string& device, bool writable);
    ~MountedEsp();
    MountedEsp(const MountedEsp&) = delete;
    MountedEsp& operator=(const MountedEsp&) = delete;
    const std::string& path() const noexcept { return directory_.path(); }
    /// Throws base::Error when it cannot be written out.
    void unmount();

private:
    base::TempDir directory_;
    bool mounted_ = false;
};

} // namespace updater
