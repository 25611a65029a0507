// The jobs of updater-worker, told apart by who uses them. A job answers with one JSON object.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/json.hpp"
#include "updater/paths.hpp"
#include "updater/sysroot.hpp"

namespace CLI {
class App;
}

namespace updater {

struct WorkerCall {
    std::string root = "/";
    bool own_namespace = false;
    unsigned lock_wait = 20; ///< seconds
    /// Set by the subcommand that was chosen.
    std::function<base::json::object(const Paths&)> job;
};

Sysroot open_sysroot(const WorkerCall& call, const Paths& paths);

/// deploy, put-first, drop-staged, stage-local, pin, prune, drop-old-var: they change deployments.
void add_deployment_jobs(CLI::App& app, WorkerCall& call);
/// boot-loader: has the host look at GRUB on the boot disk, or replace it.
void add_loader_job(CLI::App& app, WorkerCall& call);
/// reboot-lock: asks the FleetLock server.
void add_lock_job(CLI::App& app, WorkerCall& call);
/// diff, etc-diff, kernel-arguments: they only read.
void add_reading_jobs(CLI::App& app, WorkerCall& call);

} // namespace updater
