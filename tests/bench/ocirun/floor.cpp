#include "floor.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "bundle.hpp"

namespace ocirun_bench {

namespace {

void need(bool success) {
    if (!success)
        _exit(90);
}

void make_mounts() {
    constexpr unsigned long quiet = MS_NOSUID | MS_NOEXEC | MS_NODEV;
    for (const char* directory : {"proc", "dev", "sys"})
        mkdir(directory, 0755);
    need(mount("proc", "proc", "proc", quiet, nullptr) == 0);
    need(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755") == 0);
    for (const char* directory : {"dev/pts", "dev/shm", "dev/mqueue"})
        mkdir(directory, 0755);
    need(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance") == 0);
    need(mount("shm", "dev/shm", "tmpfs", quiet, nullptr) == 0);
    need(mount("mqueue", "dev/mqueue", "mqueue", quiet, nullptr) == 0);
    need(mount("sysfs", "sys", "sysfs", quiet | MS_RDONLY, nullptr) == 0);
}

void make_devices() {
    constexpr struct {
        const char* path;
        unsigned major, minor;
    } devices[] = {{"dev/null", 1, 3},   {"dev/zero", 1, 5},    {"dev/full", 1, 7},
                   {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0}};
    umask(0);
    for (const auto& device : devices)
        need(mknod(device.path, S_IFCHR | 0666, makedev(device.major, device.minor)) == 0);
    need(symlink("/proc/self/fd", "dev/fd") == 0 && symlink("/proc/self/fd/0", "dev/stdin") == 0 &&
         symlink("/proc/self/fd/1", "dev/stdout") == 0 && symlink("/proc/self/fd/2", "dev/stderr") == 0 &&
         symlink("pts/ptmx", "dev/ptmx") == 0);
}

void hide_paths() {
    for (const char* path : masked_files)
        mount("/dev/null", path + 1, nullptr, MS_BIND, nullptr); // those that the kernel has
    for (const char* path : masked_directories)
        mount("tmpfs", path + 1, "tmpfs", MS_RDONLY, "nr_inodes=1");
    for (const char* path : readonly_paths)
        if (mount(path + 1, path + 1, nullptr, MS_BIND | MS_REC, nullptr) == 0)
            mount(nullptr, path + 1, nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NOEXEC | MS_NODEV,
                  nullptr);
}

void raise_loopback() {
    const int socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    std::memcpy(request.ifr_name, "lo", 3);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    need(ioctl(socket_fd, SIOCSIFFLAGS, &request) == 0);
    close(socket_fd);
}

void drop_capabilities() {
    std::uint64_t kept = 0;
    for (const unsigned capability : capabilities)
        kept |= std::uint64_t{1} << capability;
    for (unsigned capability = 0; capability <= 40; ++capability)
        if ((kept >> capability & 1U) == 0)
            need(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const auto low = static_cast<std::uint32_t>(kept), high = static_cast<std::uint32_t>(kept >> 32);
    const __user_cap_data_struct data[2] = {{low, low, 0}, {high, high, 0}};
    need(syscall(SYS_capset, &header, data) == 0);
}

[[noreturn]] void child(const char* rootfs, const std::vector<sock_filter>& filter) {
    setsid();
    raise_loopback();
    need(sethostname("box", 3) == 0);
    need(mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr) == 0);
    need(mount(rootfs, rootfs, nullptr, MS_BIND | MS_REC, nullptr) == 0);
    need(chdir(rootfs) == 0);
    make_mounts();
    make_devices();
    hide_paths();
    need(syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0 && chdir("/") == 0);
    if (!filter.empty()) {
        const sock_fprog program{static_cast<unsigned short>(filter.size()), const_cast<sock_filter*>(filter.data())};
        need(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
    }
    drop_capabilities();
    const char* const argv[] = {"/busybox", "true", nullptr};
    const char* const environment[] = {"PATH=/", "HOME=/", nullptr};
    execve(argv[0], const_cast<char* const*>(argv), const_cast<char* const*>(environment));
    _exit(91);
}

} // namespace

int run_floor(const std::string& rootfs, const std::vector<sock_filter>& filter) {
    clone_args arguments{};
    arguments.flags = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWCGROUP;
    arguments.exit_signal = SIGCHLD;
    const long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0)
        child(rootfs.c_str(), filter);
    int status = -1;
    waitpid(static_cast<pid_t>(pid), &status, 0);
    return status;
}

} // namespace ocirun_bench
