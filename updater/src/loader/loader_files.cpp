#include "updater/loader_files.hpp"

#include <fcntl.h>
#include <sys/statvfs.h>

#include <filesystem>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "base/sha256.hpp"

namespace updater {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_image = 16UL * 1024 * 1024;
constexpr std::size_t max_file = 4UL * 1024 * 1024;
constexpr std::size_t max_directories = 64;
/// Blocks, directories and temporary files.
constexpr std::size_t room_beside = 256UL * 1024;

std::string load_checked(const std::string& path, std::size_t limit, const std::string& digest) {
    std::string content = base::read_file(path, limit);
    if (base::sha256_hex(content) != digest)
        throw base::Error(path + ": not what the image was made with");
    return content;
}

bool is_whole(const std::string& path, const std::string& digest) {
    try {
        return base::sha256_hex(base::read_file(path, max_file)) == digest;
    } catch (const base::Error&) {
        return false; // missing, too large, or a disk that cannot be read: all to be written again
    }
}

} // namespace

std::optional<CarriedLoader> CarriedLoader::load(const std::string& directory) {
    const std::string path = directory + "/" + base::BootLoaderManifest::file_name;
    const auto text = base::read_file_if_exists(path, base::BootLoaderManifest::max_size);
    if (!text)
        return {};
    CarriedLoader loader;
    loader.manifest = base::BootLoaderManifest::parse(*text, path);
    loader.boot_image = base::read_file(directory + "/boot.img", max_file);
    if (base::sha256_hex(base::neutral_boot_image(loader.boot_image)) != loader.manifest.boot)
        throw base::Error(directory + "/boot.img: not what the image was made with");
    loader.core_image = load_checked(directory + "/core.img", max_file, loader.manifest.core);
    loader.efi_image = load_checked(directory + "/BOOTX64.EFI", max_image, loader.manifest.efi);
    for (const auto& [name, digest] : loader.manifest.files)
        loader.files[name] = load_checked(directory + "/grub/" + name, max_file, digest);
    return loader;
}

KnownLoaders loaders_in(const std::string& grub) {
    KnownLoaders known;
    std::error_code missing;
    for (const fs::directory_entry& entry : fs::directory_iterator(grub, missing)) {
        const std::string name = entry.path().filename().string();
        const std::string path = entry.path() / base::BootLoaderManifest::file_name;
        if (known.size() >= max_directories || !base::is_boot_loader_id(name) || !entry.is_directory(missing))
            continue;
        try {
            const auto text = base::read_file_if_exists(path, base::BootLoaderManifest::max_size);
            if (!text)
                continue;
            base::BootLoaderManifest manifest = base::BootLoaderManifest::parse(*text, path);
            if (manifest.id == name)
                known[name] = std::move(manifest);
        } catch (const base::Error& error) {
            base::log_warning("{}", error.what());
        }
    }
    return known;
}

std::string damaged_file(const std::string& grub, const base::BootLoaderManifest& manifest) {
    for (const auto& [name, digest] : manifest.files) {
        const std::string path = fmt::format("{}/{}/{}", grub, manifest.id, name);
        if (!is_whole(path, digest))
            return path;
    }
    return {};
}

void install_loader_files(const std::string& grub, const CarriedLoader& loader) {
    std::map<std::string, const std::string*> missing;
    std::size_t bytes = 0;
    const std::string directory = grub + "/" + loader.manifest.id;
    for (const auto& [name, content] : loader.files) {
        if (is_whole(directory + "/" + name, loader.manifest.files.at(name)))
            continue;
        missing[name] = &content;
        bytes += content.size();
    }
    const std::string manifest = loader.manifest.serialize();
    const bool is_listed = is_whole(directory + "/" + base::BootLoaderManifest::file_name, base::sha256_hex(manifest));
    if (missing.empty() && is_listed)
        return;
    require_room(grub, bytes + room_beside);
    for (const auto& [name, content] : missing) {
        base::make_directories(fs::path(directory + "/" + name).parent_path());
        base::write_durable(directory + "/" + name, *content);
    }
    if (!is_listed)
        base::write_durable(directory + "/" + base::BootLoaderManifest::file_name, manifest);
    base::sync_directory(directory);
    base::sync_directory(grub);
}

void verify_loader_files(const std::string& grub, const base::BootLoaderManifest& manifest) {
    for (const auto& [name, digest] : manifest.files)
        forget_cached(base::open_file(fmt::format("{}/{}/{}", grub, manifest.id, name), O_RDONLY).get());
    if (const std::string path = damaged_file(grub, manifest); !path.empty())
        throw base::Error(EIO, path + ": not on the disk what was written");
}

std::vector<std::string> remove_other_loaders(const std::string& grub, const std::set<std::string>& needed) {
    std::vector<std::string> removed;
    for (const auto& [id, manifest] : loaders_in(grub)) {
        if (needed.contains(id))
            continue;
        base::remove_tree(grub + "/" + id);
        removed.push_back(id);
    }
    return removed;
}

void forget_cached(int fd) noexcept {
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

void require_room(const std::string& directory, std::size_t bytes) {
    struct statvfs status {};
    base::check(::statvfs(directory.c_str(), &status), "statvfs " + directory);
    const std::uint64_t room = static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
    if (room < bytes)
        throw base::Error(ENOSPC, fmt::format("{}: {} KiB are needed, {} KiB are free", directory,
                                              (bytes + 1023) / 1024, room / 1024));
}

} // namespace updater
