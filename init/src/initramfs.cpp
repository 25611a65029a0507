#include "initramfs.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.hpp"
#include "block_devices.hpp"
#include "boot_count.hpp"
#include "deployment.hpp"
#include "files.hpp"
#include "kernel_arguments.hpp"
#include "log.hpp"
#include "modules.hpp"
#include "mounts.hpp"
#include "panic_record.hpp"
#include "system.hpp"
#include "watchdog.hpp"

namespace init {

namespace {

constexpr Msec root_timeout = 30'000;
constexpr const char* sysroot = "/sysroot";
constexpr const char* new_root = "/newroot";
constexpr const char* stage2_program = "/usr/bin/init";

bool mount_root(const KernelArguments& arguments, BlockDevice& root) noexcept {
    if (arguments.root.empty()) {
        log_error("kernel argument root= is missing");
        return false;
    }
    const DeviceSpec spec = DeviceSpec::parse(arguments.root.view());
    if (!wait_for_device(spec, now_msec() + root_timeout, root)) {
        log_error("root device ", arguments.root.view(), " did not appear within ", root_timeout / 1000, " s");
        log_devices();
        return false;
    }
    log_info("root is ", root.node.view(), " (", arguments.root.view(), ")");
    return mount_device(root.node.c_str(), sysroot, arguments.root_type.c_str(), MS_NOATIME) == 0;
}

bool find_deployment(const KernelArguments& arguments, Path& deployment) noexcept {
    if (arguments.deployment.empty()) {
        log_error("kernel argument ostree= is missing");
        return false;
    }
    if (const int error = resolve_deployment(sysroot, arguments.deployment.c_str(), deployment); error != 0) {
        log_error("deployment ostree=", arguments.deployment.view(), " on the root file system: ", Errno{error});
        // The links of /ostree/boot.N are gone: the deployment itself also says which revision it is.
        if (!find_deployment_by_revision(sysroot, arguments.revision.view(), deployment))
            return false;
        log_notice("revision ", arguments.revision.view(), " is in ", deployment.view());
    }
    const Path program(deployment.view(), stage2_program);
    if (!is_executable(program.c_str())) {
        log_error("deployment ", deployment.view(), " has no program ", stage2_program);
        return false;
    }
    return true;
}

/// Frees the memory of the initramfs: rm -r on its own file system only. The fd is consumed.
void remove_tree(int directory_fd, dev_t device, int depth) noexcept {
    DIR* directory = ::fdopendir(directory_fd);
    if (directory == nullptr) {
        ::close(directory_fd);
        return;
    }
    while (const dirent* entry = ::readdir(directory)) {
        const std::string_view name(entry->d_name);
        if (name == "." || name == "..")
            continue;
        struct stat status {};
        if (::fstatat(directory_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 || status.st_dev != device)
            continue;
        if (S_ISDIR(status.st_mode) && depth < 16) {
            const int child = ::openat(directory_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (child >= 0)
                remove_tree(child, device, depth + 1);
        }
        ::unlinkat(directory_fd, entry->d_name, S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0);
    }
    ::closedir(directory);
}

/// Makes `new_root` the root. The old one stays mounted under it, empty: rootfs cannot be unmounted.
bool switch_root() noexcept {
    base::UniqueFd old_root(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat status {};
    if (!old_root || ::fstat(old_root.get(), &status) != 0) {
        log_error("open the initramfs: ", Errno{errno});
        return false;
    }
    for (const char* name : {"/dev", "/proc", "/sys", "/run"}) {
        const Path target(new_root, name);
        if (move_mount_point(name, target.c_str()) != 0)
            return false;
    }
    if (::chdir(new_root) != 0 || ::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || ::chroot(".") != 0 ||
        ::chdir("/") != 0) {
        log_error("switch the root: ", Errno{errno});
        return false;
    }
    remove_tree(old_root.release(), status.st_dev, 0);
    return true;
}

void enter_stage2() noexcept {
    const char* const argv[] = {stage2_program, nullptr};
    const char* const environment[] = {"PATH=/usr/bin", nullptr};
    ::execve(stage2_program, const_cast<char**>(argv), const_cast<char**>(environment));
    log_error("run ", stage2_program, ": ", Errno{errno});
}

/// Of a revision on trial only: the firmware answers slowly.
void count_boot(std::string_view revision) noexcept {
    constexpr const char* grubenv = "/sysroot/boot/grub/grubenv";
    GrubBlock block;
    if (read_grub_block(grubenv, block) != 0 || !is_counted(block.view(), revision))
        return;
    const MountPlan store = {"pstore", "/sys/fs/pstore", "pstore", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr, false};
    mount_planned(store);
    const bool crashed = holds_panic(store.target);
    if (crashed)
        log_notice("the boot before this one panicked: it counts");
    change_grub_environment(grubenv, crashed ? count_crashed_boot : count_begun_boot, revision);
}

/// What a failed boot means for the next one.
enum class Failure {
    of_machine,  ///< no root file system: no other boot entry would find it either
    of_revision, ///< this deployment cannot be started: another one may
};

/// Comes back only when the system cannot be started.
Failure boot(const KernelArguments& arguments) noexcept {
    load_module_paths("/modules.list");
    Watchdog watchdog;
    watchdog.arm_early();
    BlockDevice root;
    Path deployment;
    if (!mount_root(arguments, root))
        return Failure::of_machine;
    if (!find_deployment(arguments, deployment) || !prepare_deployment(deployment, root, arguments.revision.view()))
        return Failure::of_revision;
    count_boot(arguments.revision.view());
    const base::UniqueFd marker(::open("/run/ostree-booted", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (!marker)
        log_error("make /run/ostree-booted: ", Errno{errno});
    if (!move_deployment(deployment, new_root) || !switch_root())
        return Failure::of_revision;
    log_info("deployment is ", skip(deployment.view(), std::string_view(sysroot).size()));
    watchdog.hand_over();
    enter_stage2();
    return Failure::of_revision;
}

/// GRUB reads ext4 without its journal. A mount replays it: what GRUB sees next time is what was written last. And GRUB
/// is told when another entry should be tried: it does not count the boots of a revision that is good.
void prepare_next_boot(Failure failure, const KernelArguments& arguments) noexcept {
    BlockDevice device;
    if (!find_device({DeviceSpec::Kind::label, "atoll-boot"}, {}, device)) {
        log_error("no file system labelled atoll-boot");
        return;
    }
    constexpr const char* target = "/run/boot";
    if (mount_device(device.node.c_str(), target, file_system_name(device.type), 0) != 0)
        return;
    if (failure == Failure::of_revision)
        change_grub_environment("/run/boot/grub/grubenv", mark_failed, arguments.revision.view());
    if (::umount2(target, 0) != 0)
        log_error("unmount ", target, ": ", Errno{errno});
    else
        log_info("journal of ", device.node.view(), " (/boot) replayed");
}

} // namespace

void run_stage1() noexcept {
    mount_kernel_file_systems();
    log().open();
    log_info("stage 1, version ", version());
    protect_boot();
    const KernelArguments arguments = KernelArguments::read();
    const Failure failure = boot(arguments);

    log_error("THE SYSTEM CANNOT BE STARTED from this boot entry, the reason is above; falling back by a reboot");
    prepare_next_boot(failure, arguments);
    const Msec delay = arguments.panic_seconds < 0   ? 0
                       : arguments.panic_seconds > 0 ? static_cast<Msec>(arguments.panic_seconds) * 1000
                                                     : 10'000;
    log_error("reboot in ", delay / 1000, " s");
    pause_msec(delay);
    ::sync();
    ::reboot(RB_AUTOBOOT);
    for (;;)
        ::pause();
}

} // namespace init
