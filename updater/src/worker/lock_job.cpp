#include <CLI/CLI.hpp>

#include "base/error.hpp"
#include "base/files.hpp"
#include "jobs.hpp"
#include "updater/fleet_lock.hpp"

namespace updater {

void add_lock_job(CLI::App& app, WorkerCall& call) {
    const auto release = std::make_shared<bool>(false);
    CLI::App* job = app.add_subcommand("reboot-lock", "ask the reboot lock's server for a slot");
    job->add_flag("--release", *release, "give it back instead");
    job->callback([&call, release] {
        call.job = [release](const Paths& paths) {
            const base::HostConfig host = base::HostConfig::load(paths.host_yaml);
            if (!host.update.policy.lock)
                throw base::Error("no update.lock in " + paths.host_yaml);
            const base::RebootLock& lock = *host.update.policy.lock;
            std::string machine_id = base::read_file_if_exists(paths.machine_id, 256).value_or("");
            machine_id.erase(std::remove(machine_id.begin(), machine_id.end(), '\n'), machine_id.end());
            const LockAnswer answer = ask_lock(lock, *release ? LockRequest::steady_state : LockRequest::pre_reboot,
                                               lock_id(lock, machine_id), host.update.ca);
            return base::json::object{{"granted", answer.granted}, {"reason", answer.reason}};
        };
    });
}

} // namespace updater
