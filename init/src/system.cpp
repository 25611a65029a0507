#include "system.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/unique_fd.hpp"
#include "block_devices.hpp"
#include "cgroups.hpp"
#include "crash.hpp"
#include "files.hpp"
#include "init/protocol.hpp"
#include "log.hpp"
#include "modules.hpp"
#include "mounts.hpp"
#include "panic_record.hpp"

namespace init {

const char* version() noexcept {
    return ATOLL_VERSION;
}

bool owns_machine() noexcept {
    // linux/proc_ns.h: the first pid namespace has the fixed inode PROC_PID_INIT_INO.
    constexpr ino_t first_pid_namespace = 0xEFFFFFFCU;
    static const bool owns = [] {
        struct stat status {};
        return ::getpid() == 1 && ::stat("/proc/self/ns/pid", &status) == 0 && status.st_ino == first_pid_namespace;
    }();
    return owns;
}

namespace {

constexpr unsigned long plain = MS_NOSUID | MS_NODEV | MS_NOEXEC;

constexpr MountPlan kernel_mounts[] = {
    {"proc", "/proc", "proc", plain, nullptr, true},
    {"sysfs", "/sys", "sysfs", plain, nullptr, true},
    {"devtmpfs", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755", true},
    {"tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=25%", true},
};

constexpr MountPlan more_mounts[] = {
    {"devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666", true},
    {"tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=50%", true},
    {"mqueue", "/dev/mqueue", "mqueue", plain, nullptr, false},
    {"tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=50%", true},
    {"securityfs", "/sys/kernel/security", "securityfs", plain, nullptr, false},
    {"pstore", "/sys/fs/pstore", "pstore", plain, nullptr, false},
    {"bpf", "/sys/fs/bpf", "bpf", plain, "mode=0700", false},
};

struct Setting {
    const char* path; ///< below /proc/sys
    const char* value;
};

/// Only what is the same on every host; the rest is host.yaml's `sysctl`.
constexpr Setting settings[] = {
    {"kernel/modprobe", "\n"}, // nothing is loaded because somebody opened a socket; the list of the image counts
    {"kernel/kptr_restrict", "1"},
    {"kernel/dmesg_restrict", "1"},
    {"kernel/unprivileged_bpf_disabled", "1"},
    {"kernel/pid_max", "4194304"},
    {"fs/protected_hardlinks", "1"},
    {"fs/protected_symlinks", "1"},
    {"fs/protected_fifos", "1"},
    {"fs/protected_regular", "2"},
    {"fs/inotify/max_user_instances", "8192"},
    {"fs/inotify/max_user_watches", "1048576"},
    {"net/ipv4/ping_group_range", "0 2147483647"},
    {"vm/max_map_count", "262144"},
};

void apply_settings() noexcept {
    for (const Setting& setting : settings) {
        const Text<128> path("/proc/sys/", setting.path);
        if (const int error = write_text(path.c_str(), setting.value); error != 0 && error != ENOENT)
            log_warning("write ", path.view(), ": ", Errno{error});
    }
}

struct Directory {
    const char* path;
    mode_t mode;
};

/// /var is empty on a new host; programs expect these.
constexpr Directory var_skeleton[] = {
    {"/var/lib", 0755},
    {"/var/lib/atoll", 0755},
    {"/var/lib/atoll/init", 0700},
    {"/var/lib/atoll/engine", 0700},
    {"/var/lib/atoll/updater", 0700},
    {"/var/lib/atoll/fleet", 0700},
    {"/var/log", 0755},
    {"/var/cache", 0755},
    {"/var/tmp", 01777},
    {"/var/home", 0755},
    {"/var/roothome", 0700},
    {"/var/opt", 0755},
    {"/var/mnt", 0755},
    {"/var/srv", 0755},
};

void make_var_skeleton() noexcept {
    for (const Directory& directory : var_skeleton) {
        if (const int error = make_directory(directory.path, directory.mode); error != 0)
            log_error("make ", directory.path, ": ", Errno{error});
    }
    // Programs that still say /var/run mean /run.
    if (::symlink("../run", "/var/run") != 0 && errno != EEXIST)
        log_error("make /var/run: ", Errno{errno});
}

void make_device_links() noexcept {
    constexpr const char* links[][2] = {{"/proc/self/fd", "/dev/fd"},
                                        {"/proc/self/fd/0", "/dev/stdin"},
                                        {"/proc/self/fd/1", "/dev/stdout"},
                                        {"/proc/self/fd/2", "/dev/stderr"}};
    for (const auto& link : links) {
        if (::symlink(link[0], link[1]) != 0 && errno != EEXIST)
            log_warning("make ", link[1], ": ", Errno{errno});
    }
}

void set_hostname() noexcept {
    Text<256> text;
    std::string_view name;
    if (read_text("/etc/hostname", text) == 0)
        name = trimmed(text.view());
    if (name.empty() || name.size() > 64)
        name = "atoll";
    if (::sethostname(name.data(), name.size()) != 0)
        log_error("set the host name to ", name, ": ", Errno{errno});
}

/// machine-id(5): 32 hexadecimal digits of a version 4 UUID, made once.
void make_machine_id() noexcept {
    constexpr const char* path = "/etc/machine-id";
    Text<64> present;
    if (read_text(path, present) == 0 && trimmed(present.view()).size() == 32)
        return;
    std::uint8_t bytes[16];
    if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes) {
        log_error("make ", path, ": ", Errno{errno});
        return;
    }
    bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);
    bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
    Text<64> id;
    for (const std::uint8_t byte : bytes)
        id.add("0123456789abcdef"[byte >> 4]).add("0123456789abcdef"[byte & 15]);
    id.add('\n');
    if (const int error = write_durable(path, id.view(), 0444); error != 0)
        log_error("write ", path, ": ", Errno{error});
}

void bring_up_loopback() noexcept {
    const base::UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::memcpy(request.ifr_name, "lo", 3);
    if (!fd || ::ioctl(fd.get(), SIOCGIFFLAGS, &request) != 0) {
        log_error("network interface lo: ", Errno{errno});
        return;
    }
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
    if (::ioctl(fd.get(), SIOCSIFFLAGS, &request) != 0)
        log_error("bring up network interface lo: ", Errno{errno});
}

/// engined and what it starts inherit these. Core files: for those who ask, not by default.
void set_limits() noexcept {
    constexpr rlimit files = {65536, 1048576};
    constexpr rlimit core = {0, RLIM_INFINITY};
    if (::setrlimit(RLIMIT_NOFILE, &files) != 0 || ::setrlimit(RLIMIT_CORE, &core) != 0)
        log_warning("set resource limits: ", Errno{errno});
}

void mount_config_drive() noexcept {
    BlockDevice drive;
    if (!find_device({DeviceSpec::Kind::label, "ATOLL-CONF"}, {}, drive))
        return;
    // Not in the list of every boot: each module costs the check of its signature.
    ModuleLoader modules("/usr/lib/modules");
    if (drive.type == FileSystem::vfat) {
        for (const char* name : {"vfat", "nls_cp437", "nls_ascii", "nls_iso8859_1"})
            modules.load(name);
    } else if (drive.type == FileSystem::iso9660) {
        modules.load("isofs");
    }
    make_directories("/run/atoll/config");
    if (mount_device(drive.node.c_str(), "/run/atoll/config", file_system_name(drive.type), MS_RDONLY | plain) == 0)
        log_info("config drive ", drive.node.view(), " is on /run/atoll/config");
}

} // namespace

void mount_kernel_file_systems() noexcept {
    for (const MountPlan& plan : kernel_mounts) {
        if (!is_mount_point(plan.target))
            mount_planned(plan);
    }
}

void protect_boot() noexcept {
    install_crash_handlers();
    if (!owns_machine())
        return;
    write_text("/proc/sys/kernel/printk_devkmsg", "on\n");
    Text<32> panic;
    if (read_text("/proc/sys/kernel/panic", panic) != 0 || trimmed(panic.view()) == "0")
        write_text("/proc/sys/kernel/panic", "10\n");
}

void set_up_system() noexcept {
    ::umask(0022);
    for (const MountPlan& plan : more_mounts) {
        if (!is_mount_point(plan.target))
            mount_planned(plan);
    }
    make_device_links();
    // Early: one of the modules may be the random generator that the machine-id waits for.
    if (owns_machine())
        ModuleLoader("/usr/lib/modules").load_list("/usr/lib/atoll/modules.list");
    make_directory("/run/atoll", 0755);
    make_directory("/run/lock", 0755);
    make_var_skeleton();
    if (owns_machine())
        keep_panic("/sys/fs/pstore", last_panic_path);
    make_machine_id();
    set_hostname();
    set_up_cgroups();
    set_limits();
    bring_up_loopback();
    if (!owns_machine())
        return;
    apply_settings();
    mount_config_drive();
}

} // namespace init
