#include "runtime/parent_side.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ctime>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "base/process.hpp"
#include "runtime/cgroup.hpp"
#include "runtime/launch.hpp"
#include "runtime/names.hpp"
#include "runtime/privileges.hpp"

namespace engine::runtime {

std::pair<base::UniqueFd, base::UniqueFd> socket_pair(int type) {
    int ends[2];
    base::check(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), "socketpair");
    return {base::UniqueFd(ends[0]), base::UniqueFd(ends[1])};
}

Channel::Channel() {
    std::tie(parent, child) = socket_pair(SOCK_SEQPACKET);
}

base::UniqueFd memory_file(const char* name) {
    return base::UniqueFd(base::check(memfd_create(name, MFD_CLOEXEC), "memfd_create"));
}

base::UniqueFd listen_at(const std::string& directory, const char* name) {
    // sun_path takes 107 characters; by descriptor the directory may be anywhere.
    const base::UniqueFd parent = base::open_file(directory, O_PATH | O_DIRECTORY);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", parent.get(), name);
    base::UniqueFd socket_fd(base::check(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    base::check(bind(socket_fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
                "bind " + directory + "/" + name);
    base::check(listen(socket_fd.get(), 1), "listen on " + directory + "/" + name);
    return socket_fd;
}

base::UniqueFd connect_to(const std::string& path) {
    const base::UniqueFd target = base::open_file(path, O_PATH);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", target.get());
    base::UniqueFd socket_fd(base::check(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    base::check(connect(socket_fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
                "connect to " + path);
    return socket_fd;
}

void send_go(int channel) {
    Message message;
    message.kind = Message::Kind::go;
    if (send(channel, &message, sizeof message, MSG_NOSIGNAL) < 0 && errno != EPIPE)
        base::throw_errno("send to the container's process");
    // EPIPE: it has failed, and what it said is yet to be received.
}

Message receive(int channel, pid_t child) {
    Message message;
    ssize_t size = 0;
    do
        size = recv(channel, &message, sizeof message, 0);
    while (size < 0 && errno == EINTR);
    if (size == sizeof message)
        return message;
    // Nothing but a signal from outside (the OOM killer, say) ends it without a word.
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0 && info.si_code != CLD_EXITED)
        throw base::Error("the container's process was killed by signal " + std::to_string(info.si_status) +
                          " while it was set up");
    throw base::Error("the container's process ended while it was set up");
}

base::UniqueFd receive_terminal(int socket_fd) {
    char text[64];
    iovec data{text, sizeof text};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    base::check(recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC), "receive the terminal");
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
        throw base::Error("the container's process sent no terminal");
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return base::UniqueFd(fd);
}

PidNamespaceGuard::PidNamespaceGuard(int fd) {
    if (fd < 0)
        return;
    own_ = base::open_file("/proc/self/ns/pid", O_RDONLY);
    base::check(setns(fd, CLONE_NEWPID), "join the pid namespace");
}

PidNamespaceGuard::~PidNamespaceGuard() {
    const int saved = errno;
    // Cannot fail: it is our own. Were it to, hooks would only run in the container's pid namespace.
    if (own_)
        setns(own_.get(), CLONE_NEWPID);
    errno = saved;
}

int find_pid_namespace(const ContainerPlan& plan) {
    for (const JoinedNamespace& joined : plan.joined)
        if (joined.flag == CLONE_NEWPID)
            return joined.fd.get();
    return -1;
}

void log_warnings(const ProcessPlan& plan) {
    for (const std::string& warning : plan.warnings)
        base::log_warning("{}", warning);
}

pid_t pid_inside(pid_t pid, const ContainerPlan& plan) {
    if ((plan.clone_flags & CLONE_NEWPID) != 0)
        return 1;
    if (find_pid_namespace(plan) < 0)
        return pid;
    // The last number of the line: from the outermost namespace to the process' own.
    const std::string status = base::read_file("/proc/" + std::to_string(pid) + "/status");
    const std::size_t line = status.find("\nNSpid:");
    const std::string numbers =
        line == std::string::npos ? "" : status.substr(line + 7, status.find('\n', line + 1) - line - 7);
    const std::size_t last = numbers.find_last_of(" \t");
    return last == std::string::npos ? pid : static_cast<pid_t>(std::strtol(numbers.c_str() + last + 1, nullptr, 10));
}

int same_namespaces(pid_t pid, int flags) {
    int same = 0;
    for (const int flag : {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS,
                           CLONE_NEWCGROUP, CLONE_NEWTIME}) {
        if ((flags & flag) == 0)
            continue;
        const std::string name(namespace_file(flag));
        struct stat own {
        }, other{};
        base::check(stat(("/proc/self/ns/" + name).c_str(), &own), "stat /proc/self/ns/" + name);
        const std::string path = "/proc/" + std::to_string(pid) + "/ns/" + name;
        base::check(stat(path.c_str(), &other), "stat " + path);
        if (own.st_ino == other.st_ino && own.st_dev == other.st_dev)
            same |= flag;
    }
    return same;
}

std::string process_cgroup(const ContainerState& state) {
    const std::string path = Cgroup::of_process(state.pid);
    if (path != state.cgroup && !path.starts_with(state.cgroup + "/"))
        throw base::Error("container \"" + state.id + "\": its first process is in cgroup " + path + ", not in " +
                          state.cgroup);
    return path;
}

base::Error clone_failure(int error, const std::string& cgroup) {
    const std::string what = "make the container's process (clone3)";
    if (cgroup.empty())
        return {error, what};
    const std::string where = what + ": in cgroup " + cgroup;
    // cgroups(7): to move a process one must own cgroup.procs of both groups' common ancestor.
    if (error == EACCES)
        return {error, where + ": the caller is in " + Cgroup::of_process(getpid()) +
                           "; a process may change its group only within a tree that is the caller's own"};
    if (error == ENOENT)
        return {error, where + ": this group, or the caller's, is outside of the caller's cgroup namespace"};
    if (error == EBUSY)
        return {error, where + ": it has controllers for groups below, and so can have no processes"};
    return {error, where};
}

void write_file(const std::string& path, const std::string& text, const char* json_path) {
    const base::UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    // One write: /proc/PID/uid_map takes a second one for an attempt to change it.
    if (!file || write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        base::throw_errno(std::string(json_path) + ": write " + path);
}

void write_id_mappings(pid_t pid, const Linux& linux_part) {
    const std::string process = "/proc/" + std::to_string(pid);
    const auto by_program = [&](const char* program, const std::vector<IdMapping>& mappings, const char* json_path) {
        std::vector<std::string> command{program, std::to_string(pid)};
        for (const IdMapping& mapping : mappings)
            for (const std::uint32_t number : {mapping.container, mapping.host, mapping.size})
                command.push_back(std::to_string(number));
        base::with_context(std::string(json_path) +
                               ": not only the caller's own id, so newuidmap and newgidmap are needed",
                           [&] { base::run_checked(command); });
    };
    if (geteuid() != 0 && !maps_only_caller(linux_part)) {
        by_program("newuidmap", linux_part.uid_mappings, "linux.uidMappings");
        by_program("newgidmap", linux_part.gid_mappings, "linux.gidMappings");
        return;
    }
    if (geteuid() != 0) // or a process could leave a group that takes rights away (user_namespaces(7))
        write_file(process + "/setgroups", "deny", "linux.gidMappings");
    write_file(process + "/uid_map", mapping_text(linux_part.uid_mappings), "linux.uidMappings");
    write_file(process + "/gid_map", mapping_text(linux_part.gid_mappings), "linux.gidMappings");
}

void check_groups(const ProcessPlan& process) {
    if (process.keep_groups && !process.groups.empty())
        throw base::Error("process.user.additionalGids: not possible in this user namespace: the kernel denies "
                          "setgroups(2) where a user has mapped nothing but his own ids");
}

void set_rlimits(pid_t pid, const std::vector<Rlimit>& limits) {
    for (std::size_t index = 0; index < limits.size(); ++index)
        if (prlimit(pid, static_cast<__rlimit_resource>(limits[index].resource), &limits[index].limit, nullptr) < 0)
            base::throw_errno("process.rlimits[" + std::to_string(index) + "]: setrlimit");
}

namespace {

/// Throws base::Error when it fails.
void run_one_hook(const PlannedHook& hook, const std::string& json_path, int document) {
    Operation operation = Operation::none;
    int wait_status = 0;
    const int error = run_hook(hook, document, operation, wait_status);
    if (error == 0)
        return;
    const std::string object = json_path + ": " + hook.path + ": ";
    if (operation == Operation::hook_failed)
        throw base::Error(object + base::ExitStatus::from_wait(wait_status).describe());
    if (operation == Operation::hook_timeout)
        throw base::Error(object + "did not end in time");
    throw base::Error(error, object + "run");
}

template <typename F>
void each_hook(const std::vector<Hook>& hooks, const char* name, const ContainerState& state, Status status, F&& run) {
    if (hooks.empty())
        return;
    const std::vector<PlannedHook> planned = plan_hooks(hooks);
    const base::UniqueFd document = memory_file("state");
    base::write_all(document.get(), state_document(state, status, false), "state");
    for (std::size_t index = 0; index < planned.size(); ++index)
        run(planned[index], "hooks." + std::string(name) + "[" + std::to_string(index) + "]", document.get());
}

} // namespace

void run_runtime_hooks(const std::vector<Hook>& hooks, const char* name, const ContainerState& state, Status status) {
    each_hook(hooks, name, state, status, run_one_hook);
}

void run_late_hooks(const std::vector<Hook>& hooks, const char* name, const ContainerState& state, Status status) {
    each_hook(hooks, name, state, status, [&](const PlannedHook& hook, const std::string& json_path, int document) {
        try {
            run_one_hook(hook, json_path, document);
        } catch (const base::Error& error) {
            base::log_warning("container {}: {}", state.id, error.what());
        }
    });
}

std::string timestamp() {
    // By the calendar of <chrono>: glibc's gmtime reads the host's time zone file.
    using namespace std::chrono;
    const auto now = floor<nanoseconds>(system_clock::now());
    const auto day = floor<days>(now);
    const year_month_day date(day);
    const hh_mm_ss time(now - day);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", int{date.year()}, unsigned{date.month()},
                       unsigned{date.day()}, time.hours().count(), time.minutes().count(), time.seconds().count(),
                       time.subseconds().count());
}

} // namespace engine::runtime
