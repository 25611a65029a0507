// The standard streams of the container's process, and the runtime's calls.
#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

#include "base/unique_fd.hpp"

namespace engine::monitor {

/// Our ends of the streams. With a terminal, `out` is its master and `in` a duplicate of it.
struct Streams {
    base::UniqueFd in;
    base::UniqueFd out;
    base::UniqueFd error;
};

/// The ends that the runtime's process gets.
struct ChildStreams {
    base::UniqueFd in;
    base::UniqueFd out;
    base::UniqueFd error;
};

/// Pipes (non-blocking on our side). Without `open_stdin` the input is /dev/null; with `tty` only `error` is a pipe,
/// for what the runtime itself has to say. Returns 0 or an errno value.
int make_streams(bool tty, bool open_stdin, Streams& ours, ChildStreams& theirs) noexcept;

/// fork and exec with these streams. Returns the pid, or -errno. An exec that fails says so on `error`, exit code 127.
pid_t run_program(const std::vector<std::string>& argv, const ChildStreams& streams) noexcept;

/// Listens on console.sock in the working directory, for the runtime to send a terminal's master to.
base::UniqueFd listen_for_console() noexcept;
/// Takes the connection and the descriptor sent over it; none on error.
base::UniqueFd receive_console(int listener) noexcept;

/// What can be read now, at most 4 KiB, without line breaks at its end.
std::string read_available(int fd);

} // namespace engine::monitor
