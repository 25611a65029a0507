// Loading a filter whose listener has to be sent away: whatever call would send it may itself be one that waits for the
// listener's owner to answer. So a thread is started before, which the filter is not for, and which shares our
// descriptors; from the loading on we make no system call until it has sent.
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>

#include "runtime/child.hpp"
#include "runtime/kernel.hpp"
#include "runtime/seccomp_listener.hpp"

namespace engine::runtime {

namespace {

constexpr int pending = -1;   // of both values below
constexpr int cancelled = -2; // of the listener: the filter could not be loaded

struct Delivery {
    std::atomic<int> listener{pending};
    std::atomic<int> result{pending}; ///< 0: sent
    int connection = -1, report_to = -1;
    const char* document = nullptr;
    std::size_t size = 0;
    bool schedule = false; ///< the scheduling is asked for, too
    Stage stage = Stage::seccomp;
};

void pause_cpu() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

int tell(const Delivery& delivery, Message::Kind kind) noexcept {
    Message message;
    message.kind = kind;
    return send(delivery.report_to, &message, sizeof message, MSG_NOSIGNAL) < 0 ? errno : 0;
}

/// Whoever started us sends the rest: it can wait for an agent that is slow to read.
int send_listener(const Delivery& delivery, int listener) noexcept {
    const std::size_t part = std::min(delivery.size, listener_first_part);
    ssize_t size = 0;
    do
        size = kernel::send_with_descriptors(delivery.connection, delivery.document, part, &listener, 1);
    while (size < 0 && errno == EINTR);
    if (size != static_cast<ssize_t>(part))
        return size < 0 ? errno : EMSGSIZE;
    return part < delivery.size ? tell(delivery, Message::Kind::listener_sent) : 0;
}

/// Only now: a real-time process that waits busily would keep this thread from the only processor.
int await_scheduling(const Delivery& delivery) noexcept {
    if (const int error = tell(delivery, Message::Kind::schedule))
        return error;
    Message go;
    ssize_t size = 0;
    do
        size = recv(delivery.report_to, &go, sizeof go, 0);
    while (size < 0 && errno == EINTR);
    return size == sizeof go && go.kind == Message::Kind::go ? 0 : EPIPE;
}

/// The thread. It ends by returning, or ends all of us when it could not send: nobody else can say so any more.
int deliver(void* argument) {
    Delivery& delivery = *static_cast<Delivery*>(argument);
    int listener = pending;
    while ((listener = delivery.listener.load(std::memory_order_acquire)) == pending)
        syscall(SYS_sched_yield); // as long as it takes to load a filter
    if (listener == cancelled)
        return 0;
    Message failure{Message::Kind::failed, delivery.stage, Operation::send_listener, 0, -1};
    failure.error = send_listener(delivery, listener);
    if (failure.error == 0 && delivery.schedule) {
        failure.stage = Stage::scheduling;
        failure.operation = Operation::channel;
        failure.error = await_scheduling(delivery);
    }
    if (failure.error != 0) {
        syscall(SYS_sendto, delivery.report_to, &failure, sizeof failure, MSG_NOSIGNAL, nullptr, 0);
        syscall(SYS_exit_group, 126);
    }
    // The agent's copy is the only one: when it goes away our calls are to fail and not to wait.
    syscall(SYS_close, listener);
    syscall(SYS_close, delivery.connection);
    delivery.result.store(0, std::memory_order_release);
    return 0;
}

} // namespace

int load_filter_with_listener(Child& child) noexcept {
    static Delivery delivery;
    alignas(16) static char stack[64 * 1024];
    struct stat status {};
    if (child.listener_connection < 0 || fstat(child.listener_document, &status) < 0)
        return child.fail(Operation::send_listener, EPIPE);
    delivery.size = static_cast<std::size_t>(status.st_size);
    void* const document = mmap(nullptr, delivery.size, PROT_READ, MAP_PRIVATE, child.listener_document, 0);
    if (document == MAP_FAILED)
        return child.fail_errno(Operation::send_listener);
    delivery.document = static_cast<const char*>(document);
    delivery.connection = child.listener_connection;
    delivery.report_to = child.waiting();
    delivery.schedule = child.process.schedule_late && child.scheduled_by_thread();
    delivery.stage = child.process.no_new_privileges ? Stage::seccomp_late : Stage::seccomp;
    // Without CLONE_SETTLS it shares our errno, which nobody looks at meanwhile.
    constexpr int thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    if (clone(deliver, stack + sizeof stack, thread, &delivery) < 0)
        return child.fail_errno(Operation::fork);

    const SeccompFilter& filter = child.process.seccomp;
    sock_fprog program{static_cast<unsigned short>(filter.program.size()),
                       const_cast<sock_filter*>(filter.program.data())}; // the kernel only reads it
    const long listener =
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, filter.load_flags | SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (listener < 0) {
        const int error = errno;
        delivery.listener.store(cancelled, std::memory_order_release);
        return child.fail(Operation::seccomp, error);
    }
    delivery.listener.store(static_cast<int>(listener), std::memory_order_release);
    while (delivery.result.load(std::memory_order_acquire) == pending)
        pause_cpu();
    return 0;
}

} // namespace engine::runtime
