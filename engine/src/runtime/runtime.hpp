// The operations of the command line.
#pragma once
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/exec_request.hpp"
#include "runtime/launch.hpp"
#include "runtime/state.hpp"

namespace engine::runtime {

struct RunOptions {
    LaunchOptions launch;
    bool detach = false;
    bool keep = false; ///< the container's state stays after its end
};

class Runtime {
public:
    explicit Runtime(std::string root, CgroupManager manager = CgroupManager::cgroupfs)
        : store_(std::move(root)), cgroup_manager_(manager) {}

    void create(LaunchOptions options);
    void start(const std::string& id);
    /// The program's exit code (128 + signal), 0 when detached.
    int run(RunOptions options);
    int exec(const ExecRequest& request);
    void kill(const std::string& id, int signal, bool all);
    void remove(const std::string& id, bool force);
    void pause(const std::string& id, bool paused);
    /// `document` is linux.resources; `name` says where it comes from.
    void update(const std::string& id, const std::string& document, const std::string& name);
    /// Resource use as the JSON of an event, see statistics.hpp.
    std::string statistics(const std::string& id);
    /// Reports events until the container has ended.
    void watch(const std::string& id, std::chrono::milliseconds interval,
               const std::function<void(const std::string&)>& report);
    std::vector<pid_t> processes(const std::string& id);

    std::pair<ContainerState, Status> state(const std::string& id);
    std::vector<std::pair<ContainerState, Status>> list();
    std::vector<std::string> ids() { return store_.ids(); }

private:
    void finish(const ContainerState& state);
    void finish_run(const ContainerState& state);
    StateStore store_;
    CgroupManager cgroup_manager_;
};

/// The `features` document (specification, "Features").
std::string features_document();
/// The config.json that `spec` writes.
std::string default_config(bool rootless);

} // namespace engine::runtime
