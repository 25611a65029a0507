#include "runtime/names.hpp"

#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>

#include "engine/capabilities.hpp"

namespace engine::runtime {

namespace {

struct Number {
    std::string_view name;
    int value;
};

constexpr Number rlimits[] = {
    {"RLIMIT_AS", RLIMIT_AS},           {"RLIMIT_CORE", RLIMIT_CORE},         {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},       {"RLIMIT_FSIZE", RLIMIT_FSIZE},       {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK}, {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE}, {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},   {"RLIMIT_NPROC", RLIMIT_NPROC},       {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},   {"RLIMIT_RTTIME", RLIMIT_RTTIME},     {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK},
};

constexpr Number signals[] = {
    {"HUP", SIGHUP},       {"INT", SIGINT},   {"QUIT", SIGQUIT},   {"ILL", SIGILL},   {"TRAP", SIGTRAP},
    {"ABRT", SIGABRT},     {"BUS", SIGBUS},   {"FPE", SIGFPE},     {"KILL", SIGKILL}, {"USR1", SIGUSR1},
    {"SEGV", SIGSEGV},     {"USR2", SIGUSR2}, {"PIPE", SIGPIPE},   {"ALRM", SIGALRM}, {"TERM", SIGTERM},
    {"STKFLT", SIGSTKFLT}, {"CHLD", SIGCHLD}, {"CONT", SIGCONT},   {"STOP", SIGSTOP}, {"TSTP", SIGTSTP},
    {"TTIN", SIGTTIN},     {"TTOU", SIGTTOU}, {"URG", SIGURG},     {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ},
    {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH}, {"IO", SIGIO},     {"POLL", SIGIO},
    {"PWR", SIGPWR},       {"SYS", SIGSYS},   {"IOT", SIGABRT},    {"CLD", SIGCHLD},
};

struct NamespaceName {
    std::string_view type, file;
    int flag;
};
constexpr NamespaceName namespaces[] = {
    {"user", "user", CLONE_NEWUSER},       {"mount", "mnt", CLONE_NEWNS},   {"pid", "pid", CLONE_NEWPID},
    {"network", "net", CLONE_NEWNET},      {"ipc", "ipc", CLONE_NEWIPC},    {"uts", "uts", CLONE_NEWUTS},
    {"cgroup", "cgroup", CLONE_NEWCGROUP}, {"time", "time", CLONE_NEWTIME},
};

// The kernel's real-time signals begin at 32; glibc keeps the first two, so SIGRTMIN is 34 for every program.
std::optional<int> realtime_signal(std::string_view name) {
    const bool from_min = name.starts_with("RTMIN");
    if (!from_min && !name.starts_with("RTMAX"))
        return std::nullopt;
    const int base = from_min ? 34 : 64;
    std::string_view rest = name.substr(5);
    if (rest.empty())
        return base;
    int offset = 0;
    if (rest.front() != (from_min ? '+' : '-'))
        return std::nullopt;
    rest.remove_prefix(1);
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), offset);
    if (error != std::errc{} || end != rest.data() + rest.size() || offset < 0 || offset > 30)
        return std::nullopt;
    return from_min ? base + offset : base - offset;
}

} // namespace

std::optional<unsigned> capability_number(std::string_view name) {
    for (unsigned number = 0; number < capability_names.size(); ++number)
        if (capability_names[number] == name)
            return number;
    return std::nullopt;
}

unsigned last_kernel_capability() {
    // prctl answers EINVAL for a capability the kernel does not know: no procfs needed.
    unsigned last = static_cast<unsigned>(capability_names.size()) - 1;
    while (last > 0 && prctl(PR_CAPBSET_READ, last, 0, 0, 0) < 0)
        --last;
    while (last < 63 && prctl(PR_CAPBSET_READ, last + 1, 0, 0, 0) >= 0)
        ++last;
    return last;
}

std::uint64_t permitted_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    if (syscall(SYS_capget, &header, data) < 0)
        return 0; // cannot be: version and pid are right
    return std::uint64_t{data[1].permitted} << 32 | data[0].permitted;
}

std::optional<int> rlimit_number(std::string_view name) {
    for (const Number& limit : rlimits)
        if (limit.name == name)
            return limit.value;
    return std::nullopt;
}

std::optional<int> signal_number(std::string_view name) {
    int number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc{} && end == name.data() + name.size())
        return number >= 0 && number <= 64 ? std::optional(number) : std::nullopt;
    std::string upper(name);
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    std::string_view text = upper;
    if (text.starts_with("SIG"))
        text.remove_prefix(3);
    for (const Number& signal : signals)
        if (signal.name == text)
            return signal.value;
    return realtime_signal(text);
}

std::optional<int> namespace_flag(std::string_view type) {
    for (const NamespaceName& name : namespaces)
        if (name.type == type)
            return name.flag;
    return std::nullopt;
}

std::string_view namespace_type(int flag) {
    for (const NamespaceName& name : namespaces)
        if (name.flag == flag)
            return name.type;
    return "unknown";
}

std::string_view namespace_file(int flag) {
    for (const NamespaceName& name : namespaces)
        if (name.flag == flag)
            return name.file;
    return "unknown";
}

std::vector<std::string> namespace_types() {
    std::vector<std::string> types;
    for (const NamespaceName& name : namespaces)
        types.emplace_back(name.type);
    return types;
}

} // namespace engine::runtime
