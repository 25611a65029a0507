// Child processes.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"

namespace base {

/// How a process ended.
struct ExitStatus {
    int code = 0;   ///< exit code; meaningful when `signal` is 0
    int signal = 0; ///< the signal that killed it, or 0
    bool success() const noexcept { return code == 0 && signal == 0; }
    /// The shell's number: the code, or 128 + signal.
    int shell_code() const noexcept { return signal != 0 ? 128 + signal : code; }
    /// "exit code 3" or "killed by signal 9 (KILL)".
    std::string describe() const;
    /// From a wait(2) status.
    static ExitStatus from_wait(int status) noexcept;
};

struct SpawnOptions {
    /// Added to (or, without `inherit_environment`, the whole of) the environment: "NAME=value".
    std::vector<std::string> environment;
    bool inherit_environment = true;
    std::string directory; ///< working directory; empty: the caller's
    int stdin_fd = -1;     ///< -1: /dev/null
    int stdout_fd = -1;    ///< -1: inherited
    int stderr_fd = -1;    ///< -1: inherited
    /// {parent's fd, child's number}: passed on beside 0, 1 and 2. Nothing else is inherited.
    std::vector<std::pair<int, int>> extra_fds;
    bool new_session = false;    ///< setsid(2)
    int parent_death_signal = 0; ///< PR_SET_PDEATHSIG, 0: none
    int cgroup_fd = -1;          ///< directory of the cgroup to start in (CLONE_INTO_CGROUP), -1: the caller's
};

/// Owns a child by pidfd. A child that is neither waited for nor detached when the owner goes is killed and reaped.
class Child {
public:
    Child() noexcept = default;
    Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}
    Child& operator=(Child&& other) noexcept;
    ~Child();

    /// Starts argv[0] (looked up in PATH when it has no slash). Throws Error naming the program when exec fails:
    /// when this returns the new program runs.
    static Child spawn(const std::vector<std::string>& argv, const SpawnOptions& options = {});

    pid_t pid() const noexcept { return pid_; }
    /// Readable when the child has ended: for poll(2).
    int pidfd() const noexcept { return pidfd_.get(); }
    explicit operator bool() const noexcept { return pid_ > 0; }

    void kill(int signal) const noexcept;
    /// Reaps; waits for the end.
    ExitStatus wait();
    /// Reaps; nullopt when it still runs after `timeout`.
    std::optional<ExitStatus> wait_for(std::chrono::milliseconds timeout);
    /// Gives up ownership without killing; returns the pid, which the caller (or its reaper) now has to wait for.
    pid_t detach() noexcept;

private:
    Child(pid_t pid, UniqueFd pidfd) noexcept : pid_(pid), pidfd_(std::move(pidfd)) {}
    pid_t pid_ = -1;
    UniqueFd pidfd_;
};

struct RunResult {
    ExitStatus status;
    std::string output; ///< standard output
    std::string errors; ///< standard error
};

struct RunOptions {
    SpawnOptions spawn;                               ///< its stdout_fd, stderr_fd and stdin_fd are not used
    std::string input;                                ///< written to standard input
    std::size_t output_limit = 16 * 1024 * 1024;      ///< bytes of each stream; more is an Error
    std::optional<std::chrono::milliseconds> timeout; ///< then the child is killed and Error(ETIMEDOUT) thrown
};

/// Runs a program to its end with its output captured. An exit code other than 0 is returned, not thrown.
RunResult run(const std::vector<std::string>& argv, const RunOptions& options = {});

/// As `run`, but throws Error "PROGRAM: exit code N: last line of its errors" unless it succeeds. Returns its output.
std::string run_checked(const std::vector<std::string>& argv, const RunOptions& options = {});

} // namespace base
