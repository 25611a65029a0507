// Stages: the session, and talking with the parent, with `start` and with hooks.
#include <ctime>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <climits>
#include <cstring>

#include "runtime/child.hpp"
#include "runtime/kernel.hpp"

namespace engine::runtime {

namespace {

/// `from` is the channel or the connection of `start`. With the message may come what the seccomp listener is for.
int await_go(Child& child, int from) noexcept {
    Message message;
    iovec data{&message, sizeof message};
    alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))]{};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    ssize_t size = 0;
    do
        size = recvmsg(from, &header, MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    if (size != sizeof message || message.kind != Message::Kind::go)
        return child.fail(Operation::channel, size < 0 ? errno : EPIPE);
    const cmsghdr* const passed = CMSG_FIRSTHDR(&header);
    if (passed != nullptr && passed->cmsg_type == SCM_RIGHTS && passed->cmsg_len == CMSG_LEN(2 * sizeof(int))) {
        std::memcpy(&child.listener_connection, CMSG_DATA(passed), sizeof(int));
        std::memcpy(&child.listener_document, CMSG_DATA(passed) + sizeof(int), sizeof(int));
    }
    return 0;
}

int tell(Child& child, Message::Kind kind) noexcept {
    Message message;
    message.kind = kind;
    if (send(child.waiting(), &message, sizeof message, MSG_NOSIGNAL) < 0)
        return child.fail_errno(Operation::channel);
    return 0;
}

/// `start` connects to the socket in the state directory, which only the runtime's user can enter.
int await_start(Child& child) noexcept {
    close(child.descriptors.channel); // `create` has ended or will: nobody waits there any more
    child.descriptors.channel = -1;
    do
        child.started = accept4(child.descriptors.listener, nullptr, nullptr, SOCK_CLOEXEC);
    while (child.started < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (child.started < 0)
        return child.fail_errno(Operation::channel);
    close(child.descriptors.listener);
    // The connection is all that `start` has to say, unless the filter has a listener.
    return child.process.seccomp_listener.empty() ? 0 : await_go(child, child.started);
}

int run_hooks(Child& child, const std::vector<PlannedHook>& hooks, int state) noexcept {
    for (std::size_t index = 0; index < hooks.size(); ++index) {
        child.index = static_cast<int>(index);
        int status = 0;
        const int error = run_hook(hooks[index], state, child.operation, status);
        if (error != 0)
            return error;
    }
    return 0;
}

[[noreturn]] void exec_hook(const PlannedHook& hook, int state_fd) noexcept {
    // A description of its own, at the start: /proc would be another way, but may not be there.
    if (lseek(state_fd, 0, SEEK_SET) < 0 || dup2(state_fd, 0) < 0)
        _exit(126);
    setpgid(0, 0); // so that a hook that hangs is killed with what it started
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGPIPE, SIG_DFL);
    kernel::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    execve(hook.path.c_str(), hook.argv.data(), hook.env.data());
    _exit(errno == ENOENT ? 127 : 126);
}

long milliseconds_now() noexcept {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/// False after `seconds` (0: never) without an end.
bool ends_in_time(int pidfd, int seconds) noexcept {
    const long deadline = milliseconds_now() + seconds * 1000L;
    for (;;) {
        const long left = seconds == 0 ? -1 : deadline - milliseconds_now();
        if (seconds != 0 && left <= 0)
            return false;
        pollfd wait{pidfd, POLLIN, 0};
        const int ready = poll(&wait, 1, static_cast<int>(std::min<long>(left, INT_MAX)));
        if (ready > 0)
            return true;
    }
}

} // namespace

int run_hook(const PlannedHook& hook, int state_fd, Operation& operation, int& status) noexcept {
    clone_args arguments{};
    int pidfd_value = -1;
    arguments.flags = CLONE_PIDFD;
    arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd_value);
    arguments.exit_signal = SIGCHLD;
    const pid_t pid = kernel::clone3(arguments);
    if (pid == 0)
        exec_hook(hook, state_fd);
    operation = Operation::fork;
    if (pid < 0)
        return errno;
    const kernel::Fd pidfd(pidfd_value);
    const bool in_time = ends_in_time(pidfd.get(), hook.timeout_seconds);
    if (!in_time) {
        ::kill(-pid, SIGKILL);
        kernel::pidfd_send_signal(pidfd.get(), SIGKILL);
    }
    pid_t waited = 0;
    do
        waited = waitpid(pid, &status, 0);
    while (waited < 0 && errno == EINTR);
    operation = Operation::wait;
    if (waited < 0)
        return errno;
    operation = Operation::hook_timeout;
    if (!in_time)
        return ETIMEDOUT;
    operation = Operation::hook_failed;
    if (WIFSIGNALED(status))
        return 256 + WTERMSIG(status);
    return WEXITSTATUS(status);
}

int start_session(Child& child) noexcept {
    // What the runtime ignores, the container's program must not: ignored signals survive exec.
    for (int number = 1; number < NSIG; ++number)
        if (number != SIGKILL && number != SIGSTOP)
            signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    umask(0); // modes of what is made are as asked; the process' own umask is set before exec
    if (setsid() < 0)
        return child.fail_errno(Operation::setsid);
    return 0;
}

int await_parent(Child& child) noexcept {
    if (!child.container->await_parent)
        return 0;
    if (const int error = await_go(child, child.descriptors.channel))
        return error;
    // It was dumpable for the parent to write the id mappings, when that is not root.
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? child.fail_errno(Operation::prctl) : 0;
}

int await_runtime_hooks(Child& child) noexcept {
    if (!child.container->await_hooks)
        return 0;
    if (const int error = tell(child, Message::Kind::prepared))
        return error;
    return await_go(child, child.descriptors.channel);
}

int run_container_hooks(Child& child) noexcept {
    return run_hooks(child, child.container->create_container, child.descriptors.state_creating);
}

int report_created(Child& child) noexcept {
    if (const int error = tell(child, Message::Kind::created))
        return error;
    return child.descriptors.listener >= 0 ? await_start(child) : await_go(child, child.descriptors.channel);
}

int run_start_hooks(Child& child) noexcept {
    return run_hooks(child, child.container->start_container, child.descriptors.state_created);
}

int await_scheduling(Child& child) noexcept {
    if (!child.process.schedule_late || child.scheduled_by_thread())
        return 0;
    if (const int error = tell(child, Message::Kind::schedule))
        return error;
    return await_go(child, child.waiting());
}

} // namespace engine::runtime
