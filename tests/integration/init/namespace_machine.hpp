// A "machine" of namespaces: init is PID 1 in a root of its own. It finds that it does not own the real machine, and
// leaves alone what belongs to that.
#pragma once
#include <chrono>
#include <functional>
#include <string>

#include "base/files.hpp"
#include "base/process.hpp"
#include "init/client.hpp"

class NamespaceMachine {
public:
    struct Options {
        std::string mode = "normal";  ///< of the fake engined
        bool engine = true;           ///< whether there is one
        std::string kernel_arguments; ///< what init reads in /proc/cmdline
        std::string ok_revision;      ///< `ok` in grubenv
        std::string scenario;         ///< a shell script that engined starts
    };

    explicit NamespaceMachine(const Options& options);
    ~NamespaceMachine();

    /// Runs a shell command in the machine.
    base::RunResult run(const std::string& command) const;
    init::Client connect() const;
    init::Status status() const { return connect().status(); }
    /// All that init's log holds.
    std::string log() const;
    /// A file of the machine; empty when it is not there.
    std::string file(const std::string& path) const;
    /// Polls until `condition` holds; what it throws (a socket that is not there yet) counts as false. A test failure
    /// after `limit`, with init's log.
    void wait_until(const std::string& what, const std::function<bool()>& condition,
                    std::chrono::seconds limit = std::chrono::seconds(20)) const;
    void wait_until_running() const;
    /// Waits for the end of PID 1: SIGHUP says reboot, SIGINT says poweroff or halt (reboot(2), in a pid namespace).
    base::ExitStatus wait_for_end(std::chrono::seconds limit = std::chrono::seconds(30));

private:
    void make_root(const Options& options) const;
    std::string inside(const std::string& path) const;

    base::TempDir directory_;
    std::string root_;
    std::string cgroup_;
    base::Child process_; ///< unshare(1), which waits for PID 1
    pid_t init_pid_ = -1; ///< of PID 1, in our namespace
};
