// Makes a container's first process, or one that joins, and undoes all of it when that fails.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "runtime/cgroup.hpp"
#include "runtime/config.hpp"
#include "runtime/plan.hpp"
#include "runtime/state.hpp"
#include "runtime/systemd_scope.hpp"

namespace engine::runtime {

struct LaunchOptions {
    std::string id;
    std::string bundle;         ///< absolute
    std::string config_file;    ///< empty: BUNDLE/config.json
    std::string pid_file;       ///< empty: none
    std::string console_socket; ///< path; empty: none
    unsigned preserve_fds = 0;
    bool no_pivot = false;
    bool new_keyring = true;
    CgroupManager cgroup_manager = CgroupManager::cgroupfs;
};

/// A process that was made: it is a child of ours.
struct Launched {
    pid_t pid = 0;
    base::UniqueFd pidfd;
    base::UniqueFd channel;  ///< to its stages, until exec
    base::UniqueFd terminal; ///< the master, when nobody else takes it
};

/// A container between nothing and `created`. The destructor undoes everything unless `commit` was called.
class Launch {
public:
    /// `serve_start`: the process waits on the start socket (create), else for `release` (run).
    /// `take_terminal`: the terminal's master is ours when no console socket is given.
    Launch(const StateStore& store, LaunchOptions options, bool serve_start, bool take_terminal);
    ~Launch();
    Launch(const Launch&) = delete;
    Launch& operator=(const Launch&) = delete;

    /// Up to `created`. Throws base::Error naming stage and object.
    void create();
    /// Lets the process that waits on the channel go on; throws when it fails before exec.
    void release();
    /// What was made stays, and others may work on it.
    void commit() noexcept {
        committed_ = true;
        lock_.reset();
    }

    Launched& process() noexcept { return launched_; }
    const Config& config() const noexcept { return config_; }
    const ContainerState& state() const noexcept { return state_; }

private:
    void read_configuration();
    void make_cgroup();
    void join_scope();   ///< systemd's, with the child in it
    void limit_cgroup(); ///< limits, device rules, ownership
    void start_child();
    void prepare_child(); ///< what only the parent may: id mappings, limits, the pid file
    void await_created();
    void undo() noexcept;

    const StateStore& store_;
    LaunchOptions options_;
    bool serve_start_, take_terminal_;
    bool committed_ = false, claimed_ = false;
    base::UniqueFd lock_;
    std::string config_text_;
    Config config_;
    ContainerPlan plan_;
    ContainerState state_;
    std::optional<SystemdScope> scope_;
    std::unique_ptr<Cgroup> cgroup_;
    Launched launched_;
};

struct ExecOptions {
    std::string id;
    Process process;
    std::string pid_file, console_socket;
    unsigned preserve_fds = 0;
    bool take_terminal = false;
};
/// Joins a running container. Returns when the program runs.
Launched launch_in_container(const StateStore& store, const ContainerState& state, const Config& config,
                             const ExecOptions& options);

/// Runs hooks in the runtime's namespaces with the state document as input. Throws for the first that fails.
void run_runtime_hooks(const std::vector<Hook>& hooks, const char* name, const ContainerState& state, Status status);

/// Hooks whose failure changes nothing any more (specification, "Lifecycle"): each that fails is a warning.
void run_late_hooks(const std::vector<Hook>& hooks, const char* name, const ContainerState& state, Status status);

/// Connects to the console socket. Throws base::Error.
base::UniqueFd connect_to(const std::string& path);

/// Now, as RFC 3339 in UTC with nanoseconds.
std::string timestamp();

} // namespace engine::runtime
