// The operations of the command line.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "runtime/launch.hpp"
#include "runtime/state.hpp"

namespace engine::runtime {

struct RunOptions {
    LaunchOptions launch;
    bool detach = false;
    bool keep = false; ///< the container's state stays after its end
};

struct ExecRequest {
    std::string id;
    std::string process_file;           ///< a process document; else `args` with the rest from config.json
    std::vector<std::string> args, env; ///< env is added
    std::string user;                   ///< UID[:GID]
    std::string cwd;
    std::vector<std::string> capabilities; ///< added to all five sets
    std::vector<unsigned> additional_gids;
    bool terminal = false, detach = false, no_new_privileges = false;
    std::string pid_file, console_socket;
    unsigned preserve_fds = 0;
};

class Runtime {
public:
    explicit Runtime(std::string root) : store_(std::move(root)) {}

    void create(const LaunchOptions& options);
    void start(const std::string& id);
    /// The program's exit code (128 + signal), 0 when detached.
    int run(const RunOptions& options);
    int exec(const ExecRequest& request);
    void kill(const std::string& id, int signal, bool all);
    void remove(const std::string& id, bool force);
    void pause(const std::string& id, bool paused);
    void update(const std::string& id, const std::string& resources_file);
    std::vector<pid_t> processes(const std::string& id);

    std::pair<ContainerState, Status> state(const std::string& id);
    std::vector<std::pair<ContainerState, Status>> list();

private:
    void finish(const ContainerState& state);
    void finish_run(const ContainerState& state);
    StateStore store_;
};

/// The `features` document (specification, "Features").
std::string features_document();
/// The config.json that `spec` writes.
std::string default_config(bool rootless);

} // namespace engine::runtime
