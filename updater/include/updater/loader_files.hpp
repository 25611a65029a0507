// The boot loader that the booted image carries, and the directories of /boot/grub: one for each boot loader that is or
// was on the disk, with what GRUB reads and the manifest.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/boot_loader.hpp"

namespace updater {

/// What is in the image, every file compared with the manifest.
struct CarriedLoader {
    base::BootLoaderManifest manifest;
    std::string boot_image, core_image, efi_image;
    std::map<std::string, std::string> files;

    /// nullopt: the image has none. Throws base::Error when something of it is missing or damaged.
    static std::optional<CarriedLoader> load(const std::string& directory);
};

using KnownLoaders = std::map<std::string, base::BootLoaderManifest>; ///< by identifier

/// Those with a readable manifest of their own name below `grub`.
KnownLoaders loaders_in(const std::string& grub);
/// Which file of that boot loader in `grub` is not as the manifest says; empty: all are.
std::string damaged_file(const std::string& grub, const base::BootLoaderManifest& manifest);
/// Writes the directory of that boot loader, each file durably, the manifest last. GRUB reads it only when some image
/// points there; what is there already and whole is left alone. Throws base::Error, also when there is no room.
void install_loader_files(const std::string& grub, const CarriedLoader& loader);
/// Compares with what is on the disk, not in memory. Throws base::Error.
void verify_loader_files(const std::string& grub, const base::BootLoaderManifest& manifest);
/// Removes directories that have a manifest and are not in `needed`; returns their names.
std::vector<std::string> remove_other_loaders(const std::string& grub, const std::set<std::string>& needed);

/// Makes the kernel forget what it read or wrote of the file, which has to be synced: the next read is from the disk.
void forget_cached(int fd) noexcept;
/// Throws base::Error unless the file system of `directory` has that much room left.
void require_room(const std::string& directory, std::size_t bytes);

} // namespace updater
