#include "runtime/clone_between.hpp"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "runtime/parent_side.hpp"

namespace engine::runtime {

namespace {

/// Of the process in between.
struct Answer {
    int error = EPIPE; ///< of the step that failed
    bool entered = false;
    pid_t pid = -1;
};

} // namespace

pid_t clone_between(clone_args arguments, const std::function<int()>& enter, const std::function<void()>& run) {
    auto [read_end, write_end] = socket_pair(SOCK_SEQPACKET);
    const int report = write_end.get();
    arguments.flags |= CLONE_PARENT;
    arguments.exit_signal = 0; // CLONE_PARENT takes that of the one in between
    const pid_t between = base::check(fork(), "make the process in between (fork)");
    if (between == 0) {
        Answer answer;
        answer.error = enter();
        if (answer.error == 0) {
            answer.entered = true;
            answer.pid = kernel::clone3(arguments);
            if (answer.pid == 0) {
                close(report);
                run();
                _exit(126); // not reached
            }
            answer.error = answer.pid < 0 ? errno : 0;
        }
        [[maybe_unused]] const ssize_t sent = send(report, &answer, sizeof answer, MSG_NOSIGNAL);
        _exit(0);
    }
    write_end.reset();
    Answer answer;
    while (recv(read_end.get(), &answer, sizeof answer, 0) < 0 && errno == EINTR) {
    }
    while (waitpid(between, nullptr, 0) < 0 && errno == EINTR) {
    }
    if (!answer.entered)
        throw base::Error(answer.error, "linux.namespaces: enter the user namespace, to make the process there");
    errno = answer.error;
    return answer.error == 0 ? answer.pid : -1;
}

} // namespace engine::runtime
