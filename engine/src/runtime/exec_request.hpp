// What `exec` is asked for.
#pragma once
#include <string>
#include <vector>

#include "runtime/config.hpp"

namespace engine::runtime {

struct ExecRequest {
    std::string id;
    std::string process_file;           ///< a process document; else `args` with the rest from config.json
    std::vector<std::string> args, env; ///< env is added
    std::string user;                   ///< UID[:GID]
    std::string cwd;
    std::vector<std::string> capabilities; ///< added to the bounding, permitted and effective sets
    std::vector<unsigned> additional_gids;
    std::string apparmor; ///< empty: as the container's process
    bool terminal = false, detach = false, no_new_privileges = false;
    bool ignore_paused = false;
    std::string pid_file, console_socket;
    unsigned preserve_fds = 0;
};

/// Throws base::Error.
Process exec_process(const ExecRequest& request, const Config& config);

} // namespace engine::runtime
