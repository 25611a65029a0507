#include "runtime/clone_between.hpp"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "runtime/parent_side.hpp"

namespace engine::runtime {

pid_t clone_between(clone_args arguments, const std::function<int()>& enter, const std::function<void()>& run) {
    auto [read_end, write_end] = socket_pair(SOCK_SEQPACKET);
    const int report = write_end.get();
    arguments.flags |= CLONE_PARENT;
    arguments.exit_signal = 0; // CLONE_PARENT takes that of the one in between
    const pid_t between = base::check(fork(), "make the process in between (fork)");
    if (between == 0) {
        int answer = -enter();
        if (answer == 0) {
            const pid_t pid = kernel::clone3(arguments);
            if (pid == 0) {
                close(report);
                run();
                _exit(126); // not reached
            }
            answer = pid < 0 ? -errno : pid;
        }
        [[maybe_unused]] const ssize_t sent = send(report, &answer, sizeof answer, MSG_NOSIGNAL);
        _exit(0);
    }
    write_end.reset();
    int answer = -EPIPE;
    while (recv(read_end.get(), &answer, sizeof answer, 0) < 0 && errno == EINTR) {
    }
    while (waitpid(between, nullptr, 0) < 0 && errno == EINTR) {
    }
    if (answer < 0)
        throw base::Error(-answer, "linux.namespaces: enter the user namespace and make the process there");
    return answer;
}

} // namespace engine::runtime
