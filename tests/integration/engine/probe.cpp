// Runs inside containers and tells what it sees, as JSON on standard output: tests compare that with what was asked.
//   probe report [PATH...]   everything about itself; of each PATH its type, mode, content and whether it can be
//   written probe wait               until SIGTERM (exit 7) or a signal that kills probe exit N probe mkdir PATH prints
//   the errno of mkdir(2)
// Static and without anything but libc: it has to run in an empty root.
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace {

std::string quoted(const std::string& text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            result += '\\';
        if (static_cast<unsigned char>(c) < 0x20) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
            result += escape;
        } else if (static_cast<unsigned char>(c) < 0x80) {
            result += c;
        } else {
            result += '?';
        }
    }
    return result + "\"";
}

std::string read_all(const std::string& path, std::size_t limit = 65536) {
    std::ifstream file(path);
    std::string text(limit, '\0');
    file.read(text.data(), static_cast<std::streamsize>(limit));
    text.resize(static_cast<std::size_t>(file.gcount()));
    return text;
}

std::string link_target(const std::string& path) {
    char buffer[4096];
    const ssize_t size = readlink(path.c_str(), buffer, sizeof buffer);
    return size < 0 ? "" : std::string(buffer, static_cast<std::size_t>(size));
}

class Object {
public:
    void add(const std::string& key, const std::string& json) {
        text_ += (text_.empty() ? "" : ",\n ") + quoted(key) + ": " + json;
    }
    void add_text(const std::string& key, const std::string& text) { add(key, quoted(text)); }
    void add_number(const std::string& key, long long number) { add(key, std::to_string(number)); }
    std::string json() const { return "{" + text_ + "}"; }

private:
    std::string text_;
};

std::string array(const std::vector<std::string>& texts) {
    std::string json;
    for (const std::string& text : texts)
        json += (json.empty() ? "" : ", ") + quoted(text);
    return "[" + json + "]";
}

std::string status_fields() {
    Object fields;
    std::istringstream status(read_all("/proc/self/status"));
    for (std::string line; std::getline(status, line);) {
        const std::size_t colon = line.find(":\t");
        if (colon != std::string::npos)
            fields.add_text(line.substr(0, colon), line.substr(colon + 2));
    }
    return fields.json();
}

std::string namespaces() {
    Object links;
    for (const char* name : {"mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time"})
        links.add_text(name, link_target(std::string("/proc/self/ns/") + name));
    return links.json();
}

std::string limits() {
    Object all;
    const std::pair<const char*, int> names[] = {{"RLIMIT_NOFILE", RLIMIT_NOFILE},
                                                 {"RLIMIT_CORE", RLIMIT_CORE},
                                                 {"RLIMIT_NPROC", RLIMIT_NPROC},
                                                 {"RLIMIT_STACK", RLIMIT_STACK}};
    for (const auto& [name, resource] : names) {
        rlimit limit{};
        getrlimit(static_cast<__rlimit_resource>(resource), &limit);
        all.add(name, "[" + std::to_string(limit.rlim_cur) + ", " + std::to_string(limit.rlim_max) + "]");
    }
    return all.json();
}

std::string descriptors() {
    Object open_ones;
    DIR* stream = opendir("/proc/self/fd");
    if (stream == nullptr)
        return "{}";
    while (const dirent* entry = readdir(stream))
        if (entry->d_name[0] != '.' && std::atoi(entry->d_name) != dirfd(stream))
            open_ones.add_text(entry->d_name, link_target(std::string("/proc/self/fd/") + entry->d_name));
    closedir(stream);
    return open_ones.json();
}

std::string mounts() {
    Object all;
    std::istringstream lines(read_all("/proc/self/mountinfo", 1 << 20));
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string id, parent, device, root, point, options, word, tags, type, source, super;
        words >> id >> parent >> device >> root >> point >> options;
        while (words >> word && word != "-")
            tags += word + " ";
        words >> type >> source >> super;
        Object mount;
        mount.add_text("type", type);
        mount.add_text("root", root);
        mount.add_text("options", options);
        mount.add_text("tags", tags);
        mount.add_text("super", super);
        all.add(point, mount.json());
    }
    return all.json();
}

std::string file(const std::string& path) {
    Object about;
    struct stat status {};
    if (lstat(path.c_str(), &status) < 0) {
        about.add_number("errno", errno);
        return about.json();
    }
    about.add_number("mode", status.st_mode);
    about.add_number("uid", status.st_uid);
    about.add_number("gid", status.st_gid);
    if (S_ISLNK(status.st_mode))
        about.add_text("link", link_target(path));
    if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode))
        about.add_text("device", std::to_string(major(status.st_rdev)) + ":" + std::to_string(minor(status.st_rdev)));
    if (S_ISDIR(status.st_mode)) {
        std::vector<std::string> names;
        if (DIR* stream = opendir(path.c_str())) {
            while (const dirent* entry = readdir(stream))
                if (entry->d_name[0] != '.')
                    names.emplace_back(entry->d_name);
            closedir(stream);
        }
        about.add("entries", array(names));
        const std::string probe = path + "/probe-writes";
        const int made = open(probe.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        about.add_number("write", made < 0 ? errno : 0);
        if (made >= 0)
            unlink(probe.c_str());
        return about.json();
    }
    const int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    about.add_number("open", reader < 0 ? errno : 0);
    if (reader >= 0) {
        char buffer[256];
        const ssize_t size = read(reader, buffer, sizeof buffer);
        about.add_text("content", size > 0 ? std::string(buffer, static_cast<std::size_t>(size)) : "");
        close(reader);
    }
    const int writer = open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    about.add_number("write", writer < 0 ? errno : 0);
    return about.json();
}

/// Seconds: what the two clocks of a time namespace say.
std::string clocks() {
    Object all;
    const std::pair<const char*, clockid_t> names[] = {{"monotonic", CLOCK_MONOTONIC}, {"boottime", CLOCK_BOOTTIME}};
    for (const auto& [name, clock] : names) {
        timespec now{};
        clock_gettime(clock, &now);
        all.add_number(name, now.tv_sec);
    }
    return all.json();
}

std::string scheduling() {
    Object all;
    all.add_number("policy", sched_getscheduler(0));
    sched_param parameters{};
    sched_getparam(0, &parameters);
    all.add_number("priority", parameters.sched_priority);
    all.add_number("nice", getpriority(PRIO_PROCESS, 0));
    struct { // struct sched_attr, which glibc does not have
        unsigned size, policy;
        unsigned long long flags;
        int nice;
        unsigned priority;
        unsigned long long runtime, deadline, period;
    } attributes{};
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) == 0) {
        all.add_number("flags", static_cast<long>(attributes.flags));
        all.add_number("runtime", static_cast<long>(attributes.runtime));
        all.add_number("deadline", static_cast<long>(attributes.deadline));
        all.add_number("period", static_cast<long>(attributes.period));
    }
    all.add_number("io_priority", syscall(SYS_ioprio_get, 1 /* IOPRIO_WHO_PROCESS */, 0));
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    sched_getaffinity(0, sizeof cpus, &cpus);
    std::vector<std::string> numbers;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &cpus))
            numbers.push_back(std::to_string(cpu));
    all.add("cpus", array(numbers));
    return all.json();
}

/// "TYPE;UID;GID;PERMISSIONS;NAME" of the session keyring; without one of its own a process has its user's.
std::string session_keyring() {
    char text[256];
    const long size =
        syscall(SYS_keyctl, 6 /* KEYCTL_DESCRIBE */, -3 /* KEY_SPEC_SESSION_KEYRING */, text, sizeof text);
    return size < 0 ? std::strerror(errno) : std::string(text);
}

int report(int argc, char** argv) {
    Object all;
    all.add_number("pid", getpid());
    all.add_number("sid", getsid(0));
    all.add_number("uid", getuid());
    all.add_number("gid", getgid());
    gid_t groups[64];
    const int count = getgroups(64, groups);
    std::vector<std::string> group_texts;
    for (int index = 0; index < count; ++index)
        group_texts.push_back(std::to_string(groups[index]));
    all.add("groups", array(group_texts));
    const mode_t mask = umask(0);
    umask(mask);
    all.add_number("umask", mask);
    char cwd[4096];
    all.add_text("cwd", getcwd(cwd, sizeof cwd) != nullptr ? cwd : std::strerror(errno));
    std::vector<std::string> environment;
    for (char** variable = environ; *variable != nullptr; ++variable)
        environment.emplace_back(*variable);
    all.add("env", array(environment));
    all.add("args", array({argv, argv + argc}));
    utsname names{};
    uname(&names);
    all.add_text("hostname", names.nodename);
    all.add_text("domainname", names.domainname);
    all.add_text("machine", names.machine);
    all.add("status", status_fields());
    all.add("namespaces", namespaces());
    all.add("limits", limits());
    all.add("fds", descriptors());
    all.add("clocks", clocks());
    all.add_text("keyring", session_keyring());
    all.add("scheduling", scheduling());
    all.add("mounts", mounts());
    all.add_text("cgroup", read_all("/proc/self/cgroup"));
    all.add_text("oom_score_adj", read_all("/proc/self/oom_score_adj"));
    all.add_text("interfaces", read_all("/proc/net/dev"));
    winsize size{};
    all.add("terminal", isatty(0) != 0 ? "true" : "false");
    if (ioctl(0, TIOCGWINSZ, &size) == 0)
        all.add_text("size", std::to_string(size.ws_row) + "x" + std::to_string(size.ws_col));
    all.add_text("tty", isatty(0) != 0 ? link_target("/proc/self/fd/0") : "");
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, nullptr, &blocked);
    all.add("blocks_term", sigismember(&blocked, SIGTERM) == 1 ? "true" : "false");
    struct sigaction action {};
    sigaction(SIGPIPE, nullptr, &action);
    all.add("ignores_pipe", action.sa_handler == SIG_IGN ? "true" : "false");
    Object files;
    for (int index = 2; index < argc; ++index)
        files.add(argv[index], file(argv[index]));
    all.add("files", files.json());
    std::puts(all.json().c_str());
    return 0;
}

volatile sig_atomic_t terminated = 0;

int wait_for_term() {
    struct sigaction action {};
    action.sa_handler = [](int) {
        terminated = 1;
    };
    sigaction(SIGTERM, &action, nullptr);
    sigset_t term, before;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &before);
    std::puts("ready");
    std::fflush(stdout);
    sigdelset(&before, SIGTERM);
    while (terminated == 0)
        sigsuspend(&before);
    return 7;
}

} // namespace

int main(int argc, char** argv) {
    const std::string mode = argc > 1 ? argv[1] : "report";
    if (mode == "wait")
        return wait_for_term();
    if (mode == "exit" && argc > 2)
        return std::atoi(argv[2]);
    if (mode == "mkdir" && argc > 2) {
        std::printf("%d\n", mkdir(argv[2], 0700) < 0 ? errno : 0);
        return 0;
    }
    return report(argc, argv);
}
