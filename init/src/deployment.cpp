#include "deployment.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/unique_fd.hpp"
#include "files.hpp"
#include "grub_block.hpp"
#include "log.hpp"
#include "mounts.hpp"

namespace init {

int resolve_deployment(const char* sysroot, const char* argument, Path& deployment) noexcept {
    const base::UniqueFd root(::open(sysroot, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root)
        return errno;
    open_how how{};
    how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    const base::UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, root.get(), argument, &how, sizeof how)));
    if (!fd)
        return errno;
    const Text<64> link("/proc/self/fd/", fd.get());
    char target[4096];
    const ssize_t size = ::readlink(link.c_str(), target, sizeof target);
    if (size < 0)
        return errno;
    deployment.assign(std::string_view(target, static_cast<std::size_t>(size)));
    if (deployment.truncated())
        return ENAMETOOLONG;
    // <sysroot>/ostree/deploy/NAME/deploy/NAME: what follows relies on the place of the stateroot's var.
    std::string_view rest = deployment.view();
    if (!rest.starts_with(sysroot))
        return ENOTDIR;
    rest.remove_prefix(std::string_view(sysroot).size());
    const std::string_view expected[] = {"", "ostree", "deploy", "", "deploy", ""};
    for (std::size_t i = 0; i < std::size(expected); ++i) {
        const auto part = next_part(rest, '/');
        const bool is_name = i == 3 || i == 5;
        if (!part || (is_name ? part->empty() : *part != expected[i]))
            return ENOTDIR;
    }
    return rest.data() == nullptr ? 0 : ENOTDIR;
}

namespace {

/// The value of `revision=` in a deployment's origin file, as the updater and mkimage write it.
bool origin_has_revision(int directory, const char* name, std::string_view revision) noexcept {
    const base::UniqueFd fd(::openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    char text[4096];
    const ssize_t size = fd ? read_at(fd.get(), text, sizeof text, 0) : -1;
    std::string_view rest(text, size > 0 ? static_cast<std::size_t>(size) : 0);
    while (const auto line = next_part(rest, '\n')) {
        if (line->starts_with("revision=") && skip(*line, 9) == revision)
            return true;
    }
    return false;
}

bool find_in_stateroot(const char* sysroot, std::string_view stateroot, std::string_view revision,
                       Path& deployment) noexcept {
    const Path deploy(sysroot, "/ostree/deploy/", stateroot, "/deploy");
    DIR* directory = ::opendir(deploy.c_str());
    if (directory == nullptr)
        return false;
    constexpr std::string_view suffix = ".origin";
    bool found = false;
    while (const dirent* entry = found ? nullptr : ::readdir(directory)) {
        std::string_view name(entry->d_name);
        if (!name.ends_with(suffix) || !origin_has_revision(::dirfd(directory), entry->d_name, revision))
            continue;
        name.remove_suffix(suffix.size());
        deployment.clear();
        deployment.put(deploy.view(), "/", name);
        struct stat status {};
        found = !deployment.truncated() && ::lstat(deployment.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
    }
    ::closedir(directory);
    return found;
}

} // namespace

bool find_deployment_by_revision(const char* sysroot, std::string_view revision, Path& deployment) noexcept {
    if (revision.empty())
        return false;
    const Path stateroots(sysroot, "/ostree/deploy");
    DIR* directory = ::opendir(stateroots.c_str());
    if (directory == nullptr)
        return false;
    bool found = false;
    while (const dirent* entry = found ? nullptr : ::readdir(directory)) {
        if (entry->d_name[0] != '.')
            found = find_in_stateroot(sysroot, entry->d_name, revision, deployment);
    }
    ::closedir(directory);
    return found;
}

namespace {

/// A machine whose /boot is broken still boots; it cannot update itself, and says so.
void mount_boot(const Path& deployment, const BlockDevice& root) noexcept {
    BlockDevice boot;
    if (!find_device({DeviceSpec::Kind::label, "atoll-boot"}, root.disk.view(), boot)) {
        log_error("no file system labelled atoll-boot: /boot is not mounted, updates are not possible");
        return;
    }
    const Path target(deployment.view(), "/boot");
    // Below the physical root first: libostree looks at /boot or at /sysroot/boot, depending on how it is called.
    if (mount_device(boot.node.c_str(), "/sysroot/boot", file_system_name(boot.type),
                     MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME) == 0)
        bind_mount("/sysroot/boot", target.c_str(), MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME);
}

} // namespace

// The old one is kept. Two renames; a power cut between them leaves no `var`, and the next boot of this revision makes
// the second. (updater/src/ostree/factory_var.hpp)
void take_factory_var(const Path& stateroot, std::string_view revision) noexcept {
    if (revision.empty() || revision.find('/') != std::string_view::npos)
        return;
    const Path fresh(stateroot.view(), "/var.reset-", revision);
    const Path var(stateroot.view(), "/var");
    const Path old(stateroot.view(), "/var.old-", revision);
    struct stat status {};
    if (fresh.truncated() || ::lstat(fresh.c_str(), &status) != 0 || !S_ISDIR(status.st_mode))
        return;
    if (::rename(var.c_str(), old.c_str()) != 0 && errno != ENOENT) {
        log_error("factory reset: rename ", var.view(), ": ", Errno{errno});
        return;
    }
    if (::rename(fresh.c_str(), var.c_str()) != 0) {
        log_error("factory reset: rename ", fresh.view(), ": ", Errno{errno});
        return;
    }
    const base::UniqueFd directory(::open(stateroot.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory || ::fsync(directory.get()) != 0)
        log_error("factory reset: sync ", stateroot.view(), ": ", Errno{errno});
    log_notice("factory reset: /var is as shipped");
}

namespace {

/// The revision of a /var that a factory reset, not of `revision`, put aside.
bool find_old_var(const Path& stateroot, std::string_view revision, Path& reset) noexcept {
    DIR* directory = ::opendir(stateroot.c_str());
    if (directory == nullptr)
        return false;
    constexpr std::string_view prefix = "var.old-";
    bool found = false;
    while (const dirent* entry = found ? nullptr : ::readdir(directory)) {
        std::string_view name(entry->d_name);
        if (!name.starts_with(prefix))
            continue;
        name.remove_prefix(prefix.size());
        reset.clear();
        reset.put(name);
        found = name != revision && !reset.truncated();
    }
    ::closedir(directory);
    return found;
}

} // namespace

// Two renames the other way: what the failed reset left waits under the name that its own boots look for, so that its
// verdict can be read there. A power cut between the two leaves no `var`, and the next boot makes the second.
void restore_var(const Path& stateroot, std::string_view revision) noexcept {
    Path reset;
    if (revision.empty() || !find_old_var(stateroot, revision, reset))
        return;
    const Path var(stateroot.view(), "/var");
    const Path failed(stateroot.view(), "/var.reset-", reset.view());
    const Path old(stateroot.view(), "/var.old-", reset.view());
    if (::rename(var.c_str(), failed.c_str()) != 0 && errno != ENOENT) {
        log_error("take the factory reset back: rename ", var.view(), ": ", Errno{errno});
        return;
    }
    if (::rename(old.c_str(), var.c_str()) != 0) {
        log_error("take the factory reset back: rename ", old.view(), ": ", Errno{errno});
        return;
    }
    const base::UniqueFd directory(::open(stateroot.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory || ::fsync(directory.get()) != 0)
        log_error("take the factory reset back: sync ", stateroot.view(), ": ", Errno{errno});
    log_notice("the factory reset of revision ", reset.view(), " failed: /var is the one before it");
}

namespace {

bool is_known_good(std::string_view revision) noexcept {
    GrubBlock block;
    return read_grub_block("/sysroot/boot/grub/grubenv", block) == 0 && !revision.empty() &&
           grub_variable(block.view(), "ok") == revision;
}

} // namespace

bool prepare_deployment(const Path& deployment, const BlockDevice& root, std::string_view revision) noexcept {
    const Path etc(deployment.view(), "/etc");
    const Path var(deployment.view(), "/var");
    const Path stateroot_var(deployment.view(), "/../../var");
    const Path stateroot(deployment.view(), "/../..");
    // Each writable part becomes a mount of its own before the deployment turns read-only under it.
    if (bind_mount(deployment.c_str(), deployment.c_str(), 0) != 0 ||
        bind_mount(etc.c_str(), etc.c_str(), MS_NOSUID | MS_NODEV | MS_NOATIME) != 0)
        return false;
    mount_boot(deployment, root);
    take_factory_var(stateroot, revision);
    if (is_known_good(revision))
        restore_var(stateroot, revision);
    ::mkdir(stateroot_var.c_str(), 0755);
    if (bind_mount(stateroot_var.c_str(), var.c_str(), MS_NOSUID | MS_NODEV | MS_NOATIME) != 0)
        return false;
    return remount_bind(deployment.c_str(), MS_RDONLY | MS_NOATIME) == 0;
}

bool move_deployment(const Path& deployment, const char* new_root) noexcept {
    const Path new_sysroot(new_root, "/sysroot");
    ::mkdir(new_root, 0755);
    return move_mount_point(deployment.c_str(), new_root) == 0 &&
           move_mount_point("/sysroot", new_sysroot.c_str()) == 0;
}

} // namespace init
