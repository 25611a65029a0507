// What was there before this engined started: saved containers, their monitors, and what nobody owns.
#include <signal.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "base/process.hpp"
#include "core/container_files.hpp"
#include "core/engine_impl.hpp"
#include "monitor/exit_record.hpp"

namespace engine {

namespace {
std::vector<std::string> entries_of(const std::string& directory) {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error))
        names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
}
} // namespace

void Engine::Impl::load_containers() {
    for (const std::string& id : entries_of(options.state_directory + "/containers")) {
        const std::string directory = directory_of(id);
        try {
            const auto config = base::read_file_if_exists(directory + "/config.json");
            if (!config) { // its creation or removal was cut off
                base::remove_tree(directory);
                continue;
            }
            SavedContainer saved = parse_saved_container(*config, directory + "/config.json");
            if (saved.id != id)
                throw base::Error(directory + "/config.json: is of another container");
            auto container = std::make_shared<ContainerEntry>(id);
            container->name = saved.name;
            container->created = saved.created;
            container->config.set(std::move(saved.config));
            container->lower_directories = std::move(saved.lower_directories);
            if (const auto text = base::read_file_if_exists(directory + "/state.json")) {
                SavedState state = parse_saved_state(*text, directory + "/state.json");
                container->state = std::move(state.state);
                container->stopped_by_user = state.stopped_by_user;
                container->last_end = {container->state.exit_code, container->state.error};
            }
            std::lock_guard lock(containers_mutex);
            if (!names.emplace(container->name, id).second) {
                base::log_error("container {}: its name {} is taken by another", id, container->name);
                container->name = id;
                names.emplace(id, id);
            }
            containers.emplace(id, std::move(container));
        } catch (const std::exception& error) {
            // Kept as it is: a release that understands it may come back.
            base::log_error("load container {}: {}", id, base::error_chain(error));
        }
    }
    remove_orphans();
    std::vector<ContainerPointer> all;
    {
        std::lock_guard lock(containers_mutex);
        for (const auto& [id, container] : containers)
            all.push_back(container);
    }
    std::set<std::string> running;
    for (const ContainerPointer& container : all) {
        recover(container);
        std::lock_guard lock(container->mutex);
        if (container->state.running())
            running.insert(container->id);
    }
    networks.retain(running);
    for (const ContainerPointer& container : all) {
        {
            std::lock_guard lock(container->mutex);
            container->endpoints = networks.endpoints_of(container->id);
        }
        if (running.contains(container->id)) {
            watch(container);
            start_health(container);
        }
    }
}

/// A container that was to run when we ended last: it runs, it has ended meanwhile, or the machine was restarted.
void Engine::Impl::recover(const ContainerPointer& container) {
    const std::string run = run_directory_of(container->id);
    const Status saved = container->state.status;
    std::shared_ptr<MonitorConnection> control;
    try {
        control = MonitorConnection::connect(run, monitor::Role::control);
    } catch (const std::exception& error) {
        base::log_error("container {}: {}", container->name, base::error_chain(error));
    }
    const auto phase = control ? control->state().phase() : monitor::Phase::exited;
    const bool had_run_directory = std::filesystem::exists(run);
    if (control && phase == monitor::Phase::running) {
        std::lock_guard lock(container->mutex);
        const monitor::State& state = control->state().state;
        container->control = control;
        container->cgroup = cgroups.directory(cgroups.container_path(container->config->system_service, container->id));
        container->state.status = Status::running;
        container->state.pid = state.pid;
        container->state.started =
            TimePoint(std::chrono::duration_cast<TimePoint::duration>(std::chrono::nanoseconds(state.started_nsec)));
        container->state.finished.reset();
        container->state.exit_code = 0;
        base::log_info("container {} ({}) found again, pid {}", container->name, container->id.substr(0, 12),
                       state.pid);
        return;
    }
    if (control) { // we ended in the middle of its start
        (void)::kill(control->monitor_pid(), SIGKILL);
        control.reset();
    }
    if (!had_run_directory && saved != Status::running && saved != Status::paused && saved != Status::restarting)
        return;
    // As if it had ended just now: `ended` writes, cleans up and asks the restart policy.
    {
        std::lock_guard lock(container->mutex);
        if (saved == Status::created && !container->state.started) {
            container->cleanup_pending = true; // a first start that was cut off
            container->state.status = Status::exited;
            container->state.error = "engined ended while it was started";
            container->state.exit_code = 128;
            return;
        }
        container->state.status = Status::running;
        container->cgroup = cgroups.directory(cgroups.container_path(container->config->system_service, container->id));
    }
    if (had_run_directory) {
        monitor_lost(container);
    } else {
        monitor::State state{};
        state.exit_code = 255;
        ended(container, state, "the machine was restarted");
    }
}

/// Containers of the runtime that nothing is saved of: a creation or removal that was cut off.
void Engine::Impl::remove_orphans() {
    for (const std::string& id : entries_of(options.run_directory + "/containers")) {
        {
            std::lock_guard lock(containers_mutex);
            if (containers.contains(id))
                continue;
        }
        if (std::filesystem::exists(directory_of(id) + "/config.json"))
            continue; // one that could not be read: left alone
        base::log_warning("container {} is nobody's: removed", id);
        const std::string run = run_directory_of(id);
        try {
            if (const auto control = MonitorConnection::connect(run, monitor::Role::control))
                (void)::kill(control->monitor_pid(), SIGKILL);
            delete_from_runtime(ContainerEntry(id));
            unmount(run + "/rootfs");
            base::remove_tree(run);
        } catch (const std::exception& error) {
            base::log_error("remove container {}: {}", id, base::error_chain(error));
        }
    }
}

} // namespace engine
