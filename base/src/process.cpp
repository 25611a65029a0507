#include "base/process.hpp"

#include <csignal>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <climits>
#include <cstdlib>

#include "base/error.hpp"
#include "base/files.hpp"

extern char** environ; // NOLINT(readability-redundant-declaration)

namespace base {
namespace {

constexpr int first_free_fd = 3;

/// Where argv[0] is, resolved in the parent: the child must not allocate.
std::string find_program(const std::string& name) {
    if (name.find('/') != std::string::npos)
        return name;
    const char* path_variable = std::getenv("PATH"); // NOLINT(concurrency-mt-unsafe)
    std::string_view path = path_variable != nullptr ? path_variable : "/usr/sbin:/usr/bin:/sbin:/bin";
    while (!path.empty()) {
        const auto colon = path.find(':');
        const std::string_view directory = path.substr(0, colon);
        path.remove_prefix(colon == std::string_view::npos ? path.size() : colon + 1);
        std::string candidate = std::string(directory.empty() ? "." : directory) + "/" + name;
        if (::access(candidate.c_str(), X_OK) == 0)
            return candidate;
    }
    throw Error(ENOENT, "run " + name);
}

/// What the child fails at, and its errno: written to a close-on-exec pipe; end of file means exec happened.
struct ChildFailure {
    int stage;
    int error;
};
enum Stage { stage_fds, stage_session, stage_directory, stage_exec };
constexpr std::array<const char*, 4> stage_names{"set up descriptors for", "start a session for",
                                                 "change directory for", "run"};

/// Everything the child needs, made before the fork: between fork and exec nothing is allocated.
struct SpawnPlan {
    std::string program;
    std::vector<char*> arguments;
    std::vector<char*> environment;
    std::vector<std::pair<int, int>> fds; ///< {source, target}
    const char* directory = nullptr;
    bool new_session = false;
    int parent_death_signal = 0;
    pid_t parent = 0;
    int report_fd = -1;
};

[[noreturn]] void fail_child(const SpawnPlan& plan, Stage stage) noexcept {
    const ChildFailure failure{stage, errno};
    [[maybe_unused]] const ssize_t ignored = ::write(plan.report_fd, &failure, sizeof failure);
    ::_exit(127);
}

void place_fds(SpawnPlan& plan) noexcept {
    // First out of the way of every target number, then to the targets: sources and targets may overlap.
    int floor = first_free_fd;
    for (const auto& [source, target] : plan.fds)
        floor = std::max(floor, target + 1);
    const int report = ::fcntl(plan.report_fd, F_DUPFD_CLOEXEC, floor);
    if (report < 0)
        fail_child(plan, stage_fds);
    plan.report_fd = report;
    for (auto& [source, target] : plan.fds) {
        source = ::fcntl(source, F_DUPFD_CLOEXEC, floor);
        if (source < 0)
            fail_child(plan, stage_fds);
    }
    for (const auto& [source, target] : plan.fds) {
        if (::dup2(source, target) < 0)
            fail_child(plan, stage_fds);
    }
    // Descriptors somebody else left open without close-on-exec end here too.
    for (int fd = first_free_fd; fd < floor; ++fd) {
        bool wanted = false;
        for (const auto& entry : plan.fds)
            wanted = wanted || entry.second == fd;
        if (!wanted)
            ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    ::syscall(SYS_close_range, static_cast<unsigned>(floor), UINT_MAX, 1U << 2U /* CLOSE_RANGE_CLOEXEC */);
}

[[noreturn]] void run_child(SpawnPlan& plan) noexcept {
    if (plan.parent_death_signal != 0) {
        ::prctl(PR_SET_PDEATHSIG, plan.parent_death_signal);
        if (::getppid() != plan.parent) // the parent died before the prctl
            ::_exit(127);
    }
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number)
        ::sigaction(number, &action, nullptr);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    place_fds(plan);
    if (plan.new_session && ::setsid() < 0)
        fail_child(plan, stage_session);
    if (plan.directory != nullptr && ::chdir(plan.directory) != 0)
        fail_child(plan, stage_directory);
    ::execve(plan.program.c_str(), plan.arguments.data(), plan.environment.data());
    fail_child(plan, stage_exec);
}

/// fork(2) with a pidfd, and into a cgroup when one is given.
pid_t fork_with_pidfd(int cgroup_fd, int& pidfd) {
    clone_args arguments{};
    arguments.flags = CLONE_PIDFD | (cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0ULL);
    arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd); // NOLINT: the kernel's interface
    arguments.exit_signal = SIGCHLD;
    arguments.cgroup = cgroup_fd >= 0 ? static_cast<std::uint64_t>(cgroup_fd) : 0;
    return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
}

} // namespace

std::string ExitStatus::describe() const {
    if (signal != 0) {
        const char* name = ::sigabbrev_np(signal);
        return fmt::format("killed by signal {} ({})", signal, name != nullptr ? name : "?");
    }
    return fmt::format("exit code {}", code);
}

ExitStatus ExitStatus::from_wait(int status) noexcept {
    if (WIFSIGNALED(status))
        return {0, WTERMSIG(status)};
    return {WEXITSTATUS(status), 0};
}

Child& Child::operator=(Child&& other) noexcept {
    if (this != &other) {
        Child old(std::move(*this));
        pid_ = std::exchange(other.pid_, -1);
        pidfd_ = std::move(other.pidfd_);
    }
    return *this;
}

Child::~Child() {
    if (pid_ <= 0)
        return;
    kill(SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
}

Child Child::spawn(const std::vector<std::string>& argv, const SpawnOptions& options) {
    if (argv.empty())
        throw Error("run: empty command");
    SpawnPlan plan;
    plan.program = find_program(argv[0]);
    for (const std::string& argument : argv)
        plan.arguments.push_back(const_cast<char*>(argument.c_str())); // NOLINT: execve's signature
    plan.arguments.push_back(nullptr);
    if (options.inherit_environment) {
        for (char** variable = environ; *variable != nullptr; ++variable) {
            const std::string_view text = *variable;
            const std::string_view name = text.substr(0, text.find('=') + 1);
            const bool replaced = std::any_of(options.environment.begin(), options.environment.end(),
                                              [&](const std::string& added) { return added.starts_with(name); });
            if (!replaced)
                plan.environment.push_back(*variable);
        }
    }
    for (const std::string& variable : options.environment)
        plan.environment.push_back(const_cast<char*>(variable.c_str())); // NOLINT: execve's signature
    plan.environment.push_back(nullptr);
    UniqueFd null;
    if (options.stdin_fd < 0)
        null = open_file("/dev/null", O_RDONLY);
    plan.fds = {{options.stdin_fd < 0 ? null.get() : options.stdin_fd, STDIN_FILENO},
                {options.stdout_fd < 0 ? STDOUT_FILENO : options.stdout_fd, STDOUT_FILENO},
                {options.stderr_fd < 0 ? STDERR_FILENO : options.stderr_fd, STDERR_FILENO}};
    plan.fds.insert(plan.fds.end(), options.extra_fds.begin(), options.extra_fds.end());
    plan.directory = options.directory.empty() ? nullptr : options.directory.c_str();
    plan.new_session = options.new_session;
    plan.parent_death_signal = options.parent_death_signal;
    plan.parent = ::getpid();

    std::array<int, 2> report{};
    check(::pipe2(report.data(), O_CLOEXEC), "pipe");
    const UniqueFd report_read(report[0]);
    UniqueFd report_write(report[1]);
    plan.report_fd = report_write.get();
    int pidfd = -1;
    const pid_t pid = fork_with_pidfd(options.cgroup_fd, pidfd);
    if (pid < 0)
        throw_errno("fork for " + argv[0]);
    if (pid == 0)
        run_child(plan);
    Child child(pid, UniqueFd(pidfd));
    report_write.reset();
    ChildFailure failure{};
    ssize_t count = 0;
    while ((count = ::read(report_read.get(), &failure, sizeof failure)) < 0 && errno == EINTR) {
    }
    if (count == sizeof failure) {
        child.wait();
        throw Error(failure.error,
                    fmt::format("{} {}", stage_names.at(static_cast<std::size_t>(failure.stage)), argv[0]));
    }
    return child;
}

void Child::kill(int signal) const noexcept {
    if (pidfd_)
        ::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0);
}

ExitStatus Child::wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0) {
        if (errno != EINTR)
            throw_errno("wait for process");
    }
    pid_ = -1;
    pidfd_.reset();
    return ExitStatus::from_wait(status);
}

std::optional<ExitStatus> Child::wait_for(std::chrono::milliseconds timeout) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    for (;;) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        pollfd entry{pidfd_.get(), POLLIN, 0};
        const int ready = ::poll(&entry, 1, static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, INT_MAX)));
        if (ready > 0)
            return wait();
        if (ready == 0)
            return std::nullopt;
        if (errno != EINTR)
            throw_errno("wait for process");
    }
}

pid_t Child::detach() noexcept {
    pidfd_.reset();
    return std::exchange(pid_, -1);
}

namespace {

struct Pipe {
    UniqueFd read;
    UniqueFd write;
    Pipe() {
        std::array<int, 2> fds{};
        check(::pipe2(fds.data(), O_CLOEXEC), "pipe");
        read.reset(fds[0]);
        write.reset(fds[1]);
    }
};

/// Moves what is there from a pipe into `text`; closes the pipe at its end.
void drain(UniqueFd& fd, std::string& text, std::size_t limit, const std::string& program) {
    std::array<char, 16384> buffer;
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0) {
        if (errno == EINTR || errno == EAGAIN)
            return;
        throw_errno("read output of " + program);
    }
    if (count == 0) {
        fd.reset();
        return;
    }
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > limit)
        throw Error(fmt::format("{}: more than {} bytes of output", program, limit));
}

void feed(UniqueFd& fd, std::string_view& input) {
    const ssize_t count = input.empty() ? 0 : ::write(fd.get(), input.data(), input.size());
    if (count > 0)
        input.remove_prefix(static_cast<std::size_t>(count));
    // EPIPE: the program does not want the rest.
    if (input.empty() || (count < 0 && errno != EINTR && errno != EAGAIN))
        fd.reset();
}

} // namespace

RunResult run(const std::vector<std::string>& argv, const RunOptions& options) {
    Pipe in;
    Pipe out;
    Pipe err;
    SpawnOptions spawn = options.spawn;
    spawn.stdin_fd = in.read.get();
    spawn.stdout_fd = out.write.get();
    spawn.stderr_fd = err.write.get();
    Child child = Child::spawn(argv, spawn);
    in.read.reset();
    out.write.reset();
    err.write.reset();
    check(::fcntl(in.write.get(), F_SETFL, O_NONBLOCK), "fcntl");

    const auto deadline = std::chrono::steady_clock::now() + options.timeout.value_or(std::chrono::milliseconds(0));
    const auto milliseconds_left = [&]() -> int {
        if (!options.timeout)
            return -1;
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0)
            throw Error(ETIMEDOUT, argv[0]);
        return static_cast<int>(std::min<std::int64_t>(left.count(), INT_MAX));
    };
    RunResult result;
    std::string_view input = options.input;
    if (input.empty())
        in.write.reset();
    bool ended = false;
    while (out.read || err.read) {
        std::array<pollfd, 4> fds{{{out.read.get(), POLLIN, 0},
                                   {err.read.get(), POLLIN, 0},
                                   {in.write.get(), POLLOUT, 0},
                                   {ended ? -1 : child.pidfd(), POLLIN, 0}}};
        // Once the program has ended only what is already in the pipes counts: a daemon it left behind may hold them.
        const int ready = ::poll(fds.data(), fds.size(), ended ? 0 : milliseconds_left());
        if (ready < 0 && errno != EINTR)
            throw_errno("poll");
        if (ready == 0 && ended)
            break;
        if (ready <= 0)
            continue;
        if (fds[0].revents != 0)
            drain(out.read, result.output, options.output_limit, argv[0]);
        if (fds[1].revents != 0)
            drain(err.read, result.errors, options.output_limit, argv[0]);
        if (fds[2].revents != 0)
            feed(in.write, input);
        ended = ended || fds[3].revents != 0;
    }
    if (!options.timeout) {
        result.status = child.wait();
    } else if (const auto status = child.wait_for(std::chrono::milliseconds(milliseconds_left()))) {
        result.status = *status;
    } else {
        throw Error(ETIMEDOUT, argv[0]);
    }
    return result;
}

std::string run_checked(const std::vector<std::string>& argv, const RunOptions& options) {
    RunResult result = run(argv, options);
    if (result.status.success())
        return std::move(result.output);
    std::string_view last = result.errors;
    while (!last.empty() && last.back() == '\n')
        last.remove_suffix(1);
    if (const auto line = last.rfind('\n'); line != std::string_view::npos)
        last.remove_prefix(line + 1);
    throw Error(fmt::format("{}: {}{}{}", argv[0], result.status.describe(), last.empty() ? "" : ": ", last));
}

} // namespace base
