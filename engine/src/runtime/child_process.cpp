// Stages: what the process itself becomes, up to exec.
#include <climits>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "runtime/child.hpp"
#include "runtime/kernel.hpp"

namespace engine::runtime {

namespace {

int load_filter(Child& child) noexcept {
    const SeccompFilter& filter = child.process.seccomp;
    if (filter.program.empty())
        return 0;
    if (!child.process.seccomp_listener.empty())
        return load_filter_with_listener(child);
    sock_fprog program{static_cast<unsigned short>(filter.program.size()),
                       const_cast<sock_filter*>(filter.program.data())}; // the kernel only reads it
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, filter.load_flags, &program) < 0)
        return child.fail_errno(Operation::seccomp);
    return 0;
}

/// Reads `fd` line by line in a fixed buffer; longer lines are skipped. `visit(line)` returns true to stop. Not more
/// than `most` bytes: a sparse file of the image's, which costs it nothing, must not keep us reading for ever.
template <typename F>
void each_line(int fd, std::size_t most, F&& visit) noexcept {
    char buffer[4096];
    std::size_t filled = 0;
    bool skipping = false;
    while (most > 0) {
        const ssize_t size = read(fd, buffer + filled, std::min(most, sizeof buffer - 1 - filled));
        if (size <= 0)
            return;
        most -= static_cast<std::size_t>(size);
        filled += static_cast<std::size_t>(size);
        char* line = buffer;
        while (char* end =
                   static_cast<char*>(std::memchr(line, '\n', static_cast<std::size_t>(buffer + filled - line)))) {
            *end = '\0';
            if (!skipping && visit(line))
                return;
            skipping = false;
            line = end + 1;
        }
        filled = static_cast<std::size_t>(buffer + filled - line);
        std::memmove(buffer, line, filled);
        if (filled == sizeof buffer - 1) {
            skipping = true;
            filled = 0;
        }
    }
}

/// The 6th field of the uid's line in the container's /etc/passwd: NAME:PASSWORD:UID:GID:COMMENT:HOME:SHELL.
void find_home(Child& child) noexcept {
    std::strcpy(child.home, "HOME=/");
    const kernel::Fd file(open("/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    struct stat status {};
    if (!file.valid() || fstat(file.get(), &status) < 0 || !S_ISREG(status.st_mode))
        return;
    constexpr std::size_t largest = 16 << 20; // of /etc/passwd
    each_line(file.get(), largest, [&](char* line) {
        char* fields[6]{line};
        for (int field = 1; field < 6; ++field) {
            char* const colon = std::strchr(fields[field - 1], ':');
            if (colon == nullptr)
                return false;
            *colon = '\0';
            fields[field] = colon + 1;
        }
        if (char* const end = std::strchr(fields[5], ':'))
            *end = '\0';
        char* rest = nullptr;
        const unsigned long uid = std::strtoul(fields[2], &rest, 10);
        if (rest == fields[2] || *rest != '\0' || uid != child.process.uid || fields[5][0] != '/')
            return false;
        std::snprintf(child.home, sizeof child.home, "HOME=%s", fields[5]);
        return true;
    });
}

/// setrlimit of a hard limit above the caller's needs CAP_SYS_RESOURCE in the first user namespace.
int apply_rlimits(Child& child) noexcept {
    for (std::size_t index = 0; index < child.process.rlimits.size(); ++index) {
        const Rlimit& wanted = child.process.rlimits[index];
        child.index = static_cast<int>(index);
        if (setrlimit(static_cast<__rlimit_resource>(wanted.resource), &wanted.limit) == 0)
            continue;
        // In a user namespace our parent, who may, has set it already.
        rlimit current{};
        const int error = errno;
        if (getrlimit(static_cast<__rlimit_resource>(wanted.resource), &current) < 0 ||
            current.rlim_cur != wanted.limit.rlim_cur || current.rlim_max != wanted.limit.rlim_max)
            return child.fail(Operation::setrlimit, error);
    }
    return 0;
}

/// The container's own stdio: a program that runs as another user opens /dev/stdout again by its path.
void own_standard_streams(const ProcessPlan& process) noexcept {
    for (int standard = 0; standard < 3; ++standard) {
        struct stat status {};
        if (fstat(standard, &status) < 0 || S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) ||
            S_ISBLK(status.st_mode) || status.st_uid == process.uid)
            continue;
        if (S_ISCHR(status.st_mode) && isatty(standard) == 0)
            continue; // /dev/null and the like belong to everybody
        // Sockets cannot change their owner and need not; a failure takes nothing away.
        if (fchown(standard, process.uid, static_cast<gid_t>(-1)) < 0)
            continue;
    }
}

std::uint32_t low(std::uint64_t set) noexcept {
    return static_cast<std::uint32_t>(set);
}
std::uint32_t high(std::uint64_t set) noexcept {
    return static_cast<std::uint32_t>(set >> 32);
}

int set_capability_sets(Child& child) noexcept {
    const CapabilitySets& sets = child.process.capabilities;
    // Capabilities that this kernel does not have are not asked for: a profile names those of newer ones, too.
    const unsigned last = child.process.last_capability;
    const std::uint64_t known = last >= 63 ? ~std::uint64_t{0} : (std::uint64_t{1} << (last + 1)) - 1;
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const std::uint64_t effective = sets.effective & known, permitted = sets.permitted & known,
                        inheritable = sets.inheritable & known;
    __user_cap_data_struct data[2] = {{low(effective), low(permitted), low(inheritable)},
                                      {high(effective), high(permitted), high(inheritable)}};
    if (syscall(SYS_capset, &header, data) < 0)
        return child.fail_errno(Operation::capset);
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return child.fail_errno(Operation::prctl);
    for (unsigned capability = 0; capability <= last; ++capability)
        if ((sets.ambient >> capability & 1U) != 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0)
            return child.fail_errno(Operation::prctl);
    return 0;
}

int write_procfs(Child& child, int procfs, const char* path, const char* data, std::size_t size) noexcept {
    const kernel::Fd file(kernel::open_procfs(procfs, path, O_WRONLY));
    if (!file.valid())
        return child.fail_errno(Operation::open);
    if (write(file.get(), data, size) != static_cast<ssize_t>(size))
        return child.fail_errno(Operation::write);
    return 0;
}

/// Calls `attempt(path)`, which returns 0 or an errno value, for `program` in each directory of PATH, as execvp(3)
/// does.
template <typename F>
int search(Child& child, const char* program, F&& attempt) noexcept {
    int last_error = ENOENT;
    const char* entry = child.process.search_path.c_str();
    while (*entry != '\0') {
        const char* const colon = std::strchr(entry, ':');
        const std::size_t length = colon == nullptr ? std::strlen(entry) : static_cast<std::size_t>(colon - entry);
        char path[PATH_MAX];
        const int printed = std::snprintf(path, sizeof path, "%.*s/%s", static_cast<int>(length), entry, program);
        // An empty or relative entry would be the working directory: the image's to fill.
        if (length != 0 && entry[0] == '/' && static_cast<std::size_t>(printed) < sizeof path) {
            const int error = attempt(path);
            if (error == 0)
                return 0;
            if (error != ENOENT && error != ENOTDIR)
                last_error = error;
            if (error != ENOENT && error != ENOTDIR && error != EACCES)
                break;
        }
        entry += length + (colon == nullptr ? 0 : 1);
    }
    return child.fail(last_error == ENOENT ? Operation::not_found_in_path : Operation::exec, last_error);
}

} // namespace

int find_program(Child& child) noexcept {
    // Callers want to hear of a program that is not there from `create`. Whether the process' own user may run it is
    // seen at exec only.
    const char* const program = child.process.argv.data()[0];
    if (std::strchr(program, '/') == nullptr)
        return search(child, program, [](const char* path) { return access(path, X_OK) == 0 ? 0 : errno; });
    const kernel::Fd directory(open(child.process.cwd.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory.valid() || faccessat(directory.get(), program, X_OK, 0) < 0)
        return child.fail_errno(Operation::exec);
    return 0;
}

int set_names(Child& child) noexcept {
    const ContainerPlan& plan = *child.container;
    if (!plan.hostname.empty() && sethostname(plan.hostname.data(), plan.hostname.size()) < 0)
        return child.fail_errno(Operation::sethostname);
    if (!plan.domainname.empty() && setdomainname(plan.domainname.data(), plan.domainname.size()) < 0)
        return child.fail_errno(Operation::setdomainname);
    return 0;
}

int write_sysctls(Child& child) noexcept {
    const ContainerPlan& plan = *child.container;
    if (plan.sysctl.empty())
        return 0;
    // Not the container's /proc, which its image or its mounts could have put something else over.
    const kernel::Fd procfs(private_procfs());
    if (!procfs.valid())
        return child.fail_errno(Operation::fsmount);
    for (std::size_t index = 0; index < plan.sysctl.size(); ++index) {
        child.index = static_cast<int>(index);
        const auto& [name, value] = plan.sysctl[index];
        char path[PATH_MAX];
        if (static_cast<std::size_t>(std::snprintf(path, sizeof path, "sys/%s", name.c_str())) >= sizeof path)
            return child.fail(Operation::open, ENAMETOOLONG);
        if (const int error = write_procfs(child, procfs.get(), path, value.data(), value.size()))
            return error;
    }
    return 0;
}

int make_working_directory(Child& child) noexcept {
    const kernel::Fd directory(kernel::make_directory_in_root(child.root, child.process.cwd.c_str()));
    return directory.valid() ? 0 : child.fail_errno(Operation::make_path);
}

int set_limits(Child& child) noexcept {
    if (const int error = apply_rlimits(child))
        return error;
    child.index = -1;
    if (child.process.set_personality && personality(child.process.personality) < 0)
        return child.fail_errno(Operation::personality);
    if (!child.process.keyring.empty() &&
        syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, child.process.keyring.c_str()) < 0 && errno != ENOSYS)
        return child.fail_errno(Operation::keyctl);
    return 0;
}

int set_security_label(Child& child) noexcept {
    if (child.process.apparmor.empty())
        return 0;
    char label[PATH_MAX];
    const int length = std::snprintf(label, sizeof label, "exec %s", child.process.apparmor.c_str());
    if (static_cast<std::size_t>(length) >= sizeof label)
        return child.fail(Operation::write, ENAMETOOLONG);
    // The host's procfs, opened before the container's mounts were in force: what the container has at /proc could
    // take the label and do nothing with it. "self" is a link that procfs itself resolves; it is no magic link.
    return write_procfs(child, child.procfs, "self/attr/apparmor/exec", label, static_cast<std::size_t>(length));
}

int find_environment(Child& child) noexcept {
    if (child.process.find_home)
        find_home(child);
    if (chdir(child.process.cwd.c_str()) < 0)
        return child.fail_errno(Operation::chdir);
    // A descriptor of the host that leaked would be a way out: the kernel calls such a place "(unreachable)".
    char path[PATH_MAX];
    const long length = syscall(SYS_getcwd, path, sizeof path);
    if (length < 0 || path[0] != '/')
        return child.fail(Operation::outside_root, EPERM);
    return 0;
}

int close_descriptors(Child& child) noexcept {
    own_standard_streams(child.process);
    // Close on exec is not enough: until then /proc/self/fd/N of a directory of the host's would be a way there, for
    // the working directory or for the program itself (CVE-2024-21626). What is left are sockets and a file in memory,
    // and what was asked to be preserved; whatever is opened from here on closes on exec.
    int kept[] = {child.descriptors.channel, child.descriptors.listener, child.descriptors.state_created};
    std::sort(std::begin(kept), std::end(kept));
    unsigned first = 3 + child.process.preserve_fds;
    for (const int fd : kept) {
        if (fd < 0 || static_cast<unsigned>(fd) < first)
            continue;
        if (static_cast<unsigned>(fd) > first && kernel::close_range(first, static_cast<unsigned>(fd) - 1, 0) < 0)
            return child.fail_errno(Operation::close_range);
        first = static_cast<unsigned>(fd) + 1;
    }
    if (kernel::close_range(first, ~0U, 0) < 0)
        return child.fail_errno(Operation::close_range);
    child.root = child.procfs = child.terminal = child.descriptors.console_socket = child.descriptors.state_creating =
        -1;
    return 0;
}

int load_seccomp_early(Child& child) noexcept {
    // Loading takes CAP_SYS_ADMIN unless no_new_privileges is set, and the next stages give that away.
    return child.process.no_new_privileges ? 0 : load_filter(child);
}

int set_identity(Child& child) noexcept {
    const ProcessPlan& process = child.process;
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return child.fail_errno(Operation::prctl);
    // The bounding set first: dropping from it takes CAP_SETPCAP.
    for (unsigned capability = 0; capability <= process.last_capability; ++capability)
        if ((process.capabilities.bounding >> capability & 1U) == 0 && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
            return child.fail_errno(Operation::prctl);
    // glibc's wrappers would look for threads to tell; there are none.
    if (!process.keep_groups && syscall(SYS_setgroups, process.groups.size(), process.groups.data()) < 0)
        return child.fail_errno(Operation::setgroups);
    if (syscall(SYS_setresgid, process.gid, process.gid, process.gid) < 0)
        return child.fail_errno(Operation::setgid);
    if (syscall(SYS_setresuid, process.uid, process.uid, process.uid) < 0)
        return child.fail_errno(Operation::setuid);
    return 0;
}

int set_capabilities(Child& child) noexcept {
    if (const int error = set_capability_sets(child))
        return error;
    if (child.process.no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return child.fail_errno(Operation::prctl);
    umask(child.process.umask);
    return 0;
}

int load_seccomp_late(Child& child) noexcept {
    return child.process.no_new_privileges ? load_filter(child) : 0;
}

int execute(Child& child) noexcept {
    const ProcessPlan& process = child.process;
    // The environment with HOME in front, when it was looked up. The plan's array is followed by nothing we may use,
    // so the pointers are copied; an environment larger than this is the kernel's limit several times over.
    constexpr std::size_t most = 8192;
    static const char* environment[most + 2];
    if (process.env.size() > most)
        return child.fail(Operation::exec, E2BIG);
    std::size_t count = 0;
    if (process.find_home)
        environment[count++] = child.home;
    std::memcpy(environment + count, process.env.data(), (process.env.size() + 1) * sizeof(char*));
    char* const* const variables = const_cast<char* const*>(environment);

    const char* const program = process.argv.data()[0];
    if (std::strchr(program, '/') != nullptr) {
        execve(program, process.argv.data(), variables);
        return child.fail_errno(Operation::exec);
    }
    return search(child, program, [&](const char* path) {
        execve(path, process.argv.data(), variables);
        return errno;
    });
}

} // namespace engine::runtime
