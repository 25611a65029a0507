#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "base/sha256.hpp"
#include "updater/loader_places.hpp"

namespace updater {
namespace {

constexpr std::size_t max_image = 16UL * 1024 * 1024;
constexpr std::size_t room_beside = 64UL * 1024;

// Names of eight letters and three have one directory entry each, and these are within the directory's first sector:
// the rename below is one write of one sector.
std::string image_in(const std::string& esp) {
    return esp + "/EFI/BOOT/BOOTX64.EFI";
}
std::string new_image_in(const std::string& esp) {
    return esp + "/EFI/BOOT/NEWX64.EFI";
}

void sync_file_system(int fd, const std::string& name) {
    base::check(::syncfs(fd), "syncfs " + name);
}

} // namespace

InstalledLoader look_at_efi(const std::string& esp, const KnownLoaders& known) {
    const auto image = base::read_file_if_exists(image_in(esp), max_image);
    if (!image || image->empty())
        return {LoaderState::empty, {}, "no EFI/BOOT/BOOTX64.EFI"};
    const std::string digest = base::sha256_hex(*image);
    for (const auto& [id, manifest] : known)
        if (manifest.efi == digest)
            return {LoaderState::known, id, {}};
    if (!base::efi_prefix(*image).found)
        return {LoaderState::foreign, {}, "EFI/BOOT/BOOTX64.EFI is not GRUB's as an image of ours has it"};
    return {LoaderState::unknown, {}, "no boot loader that is known here: damaged, or older than they are told apart"};
}

void prepare_efi(const std::string& esp, const CarriedLoader& loader) {
    ::unlink(new_image_in(esp).c_str());
    require_room(esp, loader.efi_image.size() + room_beside);
}

void install_efi(const std::string& esp, const CarriedLoader& loader) {
    const std::string directory = esp + "/EFI/BOOT";
    base::make_directories(directory);
    prepare_efi(esp, loader);
    const base::UniqueFd root = base::open_file(esp, O_RDONLY | O_DIRECTORY);
    base::UniqueFd file = base::open_file(new_image_in(esp), O_RDWR | O_CREAT | O_EXCL, 0644);
    base::write_all(file.get(), loader.efi_image, new_image_in(esp));
    base::check(::fsync(file.get()), "fsync " + new_image_in(esp));
    sync_file_system(root.get(), esp);
    forget_cached(file.get());
    base::check(::lseek(file.get(), 0, SEEK_SET), "lseek " + new_image_in(esp));
    if (base::read_fd(file.get(), max_image, new_image_in(esp)) != loader.efi_image)
        throw base::Error(EIO, new_image_in(esp) + ": not on the disk what was written");
    // Held open: its clusters are not freed while the directory on the disk may still name it.
    base::UniqueFd old(::open(image_in(esp).c_str(), O_RDONLY | O_CLOEXEC));
    base::check(::rename(new_image_in(esp).c_str(), image_in(esp).c_str()), "rename to " + image_in(esp));
    // Linux keeps a FAT file's directory entry in its inode: the directory's fsync does not write it, syncfs does and
    // does not make the disk flush, the file's own does both (fs/fat/file.c, fat_file_fsync).
    base::check(::fsync(file.get()), "fsync " + image_in(esp));
    base::sync_directory(directory);
    old.reset();
    sync_file_system(root.get(), esp);
    base::check(::fsync(file.get()), "fsync " + image_in(esp));
    base::checked_close(std::move(file), image_in(esp));
}

MountedEsp::MountedEsp(const std::string& device, bool writable) : directory_("esp", "/run") {
    // In no other namespace: nothing of it is left behind when this process is killed.
    base::check(::unshare(CLONE_NEWNS), "a mount namespace of our own");
    base::check(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make the mounts private");
    const unsigned long flags =
        0UL | MS_NOSUID | MS_NODEV | MS_NOEXEC | (writable ? 0UL : static_cast<unsigned long>(MS_RDONLY));
    // A file that a power cut left half written has clusters that the table says are free: to remove it is an error to
    // Linux, which would make the file system read-only. What is written here is read back anyway.
    base::check(::mount(device.c_str(), directory_.path().c_str(), "vfat", flags, "errors=continue"),
                "mount " + device);
    mounted_ = true;
}

void MountedEsp::unmount() {
    base::check(::umount(directory_.path().c_str()), "unmount " + directory_.path());
    mounted_ = false;
}

MountedEsp::~MountedEsp() {
    if (mounted_ && ::umount(directory_.path().c_str()) != 0)
        base::log_warning("unmount {}: {}", directory_.path(), std::strerror(errno));
}

} // namespace updater
