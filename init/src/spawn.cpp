#include "spawn.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "base/unique_fd.hpp"
#include "files.hpp"
#include "log.hpp"

namespace init {

namespace {

// The child, from the clone to the exec: system calls only. Each step returns false with errno set.

bool reset_signals(const ChildPlan&) noexcept {
    sigset_t none;
    ::sigemptyset(&none);
    return ::sigprocmask(SIG_SETMASK, &none, nullptr) == 0;
}

bool make_session(const ChildPlan&) noexcept {
    return ::setsid() >= 0;
}

/// dup2(2) onto itself would leave the descriptor close-on-exec.
bool place(int fd, int number) noexcept {
    if (fd == number)
        return ::fcntl(fd, F_SETFD, 0) == 0;
    return ::dup2(fd, number) == number;
}

bool open_input(const ChildPlan& plan) noexcept {
    const int flags = plan.terminal != nullptr ? O_RDWR : O_RDONLY;
    const int fd = ::open(plan.terminal != nullptr ? plan.terminal : "/dev/null", flags | O_CLOEXEC);
    return fd >= 0 && place(fd, 0);
}

bool set_output(const ChildPlan& plan) noexcept {
    if (plan.terminal != nullptr) {
        if (!place(0, 1) || !place(0, 2))
            return false;
        // 1: taken from whoever has it. Without job control a shell still works.
        ::ioctl(0, TIOCSCTTY, 1);
        return true;
    }
    return plan.output < 0 || (place(plan.output, 1) && place(plan.output, 2));
}

bool pass_channel(const ChildPlan& plan) noexcept {
    return plan.channel < 0 || place(plan.channel, 3);
}

bool set_oom_score(const ChildPlan& plan) noexcept {
    if (plan.oom_score_adjust == 0)
        return true;
    const Text<16> text(plan.oom_score_adjust);
    const int error = write_text("/proc/self/oom_score_adj", text.view());
    errno = error;
    // Lowering it takes CAP_SYS_RESOURCE, which a container's PID 1 may not have.
    return error == 0 || error == EACCES;
}

bool execute(const ChildPlan& plan) noexcept {
    ::execve(plan.argv[0], const_cast<char* const*>(plan.argv), const_cast<char* const*>(plan.environment));
    return false;
}

struct ChildStep {
    Stage stage;
    bool (*step)(const ChildPlan&) noexcept;
};

constexpr ChildStep child_steps[] = {
    {Stage::signals, reset_signals}, {Stage::session, make_session}, {Stage::input, open_input},
    {Stage::output, set_output},     {Stage::channel, pass_channel}, {Stage::oom_score, set_oom_score},
    {Stage::exec, execute},
};

[[noreturn]] void run_child(const ChildPlan& plan, int report) noexcept {
    for (const ChildStep& step : child_steps) {
        if (!step.step(plan)) {
            const SpawnError error = {step.stage, errno};
            [[maybe_unused]] const ssize_t ignored = ::write(report, &error, sizeof error);
            break;
        }
    }
    ::_exit(127);
}

pid_t clone_into(const char* cgroup) noexcept {
    clone_args arguments{};
    arguments.exit_signal = SIGCHLD;
    base::UniqueFd group;
    if (cgroup != nullptr) {
        group.reset(::open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (group) {
            arguments.flags = CLONE_INTO_CGROUP;
            arguments.cgroup = static_cast<std::uint64_t>(group.get());
        }
    }
    long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid < 0 && cgroup != nullptr && arguments.flags != 0) {
        // Better in the wrong group than not at all: nothing else can start containers.
        log_error("start a process in cgroup ", cgroup, ": ", Errno{errno});
        arguments.flags = 0;
        arguments.cgroup = 0;
        pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
    }
    return static_cast<pid_t>(pid);
}

} // namespace

pid_t spawn(const ChildPlan& plan, SpawnError& error) noexcept {
    int ends[2];
    error = {Stage::clone, 0};
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        error.error = errno;
        return -1;
    }
    const base::UniqueFd reader(ends[0]);
    // Above 3, so that placing the standard descriptors and the channel does not close it.
    base::UniqueFd writer(::fcntl(ends[1], F_DUPFD_CLOEXEC, 10));
    ::close(ends[1]);
    if (!writer) {
        error.error = errno;
        return -1;
    }
    const pid_t pid = clone_into(plan.cgroup);
    if (pid == 0)
        run_child(plan, writer.get());
    if (pid < 0) {
        error.error = errno;
        return -1;
    }
    writer.reset();
    ssize_t size = 0;
    do
        size = ::read(reader.get(), &error, sizeof error);
    while (size < 0 && errno == EINTR);
    if (size != static_cast<ssize_t>(sizeof error)) {
        error = {Stage::exec, 0}; // end of file: the exec closed it
        return pid;
    }
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return -1;
}

} // namespace init
