// A container's life: start, end, restart, stop, removal.
#include <signal.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "base/process.hpp"
#include "base/scope_exit.hpp"
#include "core/container_files.hpp"
#include "core/engine_impl.hpp"
#include "core/identity.hpp"
#include "monitor/exit_record.hpp"

namespace engine {

namespace {
constexpr std::chrono::milliseconds first_restart_pause{100};
constexpr std::chrono::milliseconds longest_restart_pause{60'000};
/// One that ran this long starts again with the first pause.
constexpr std::chrono::seconds settled_after{10};

/// The kernel's reasons in lower case: by these words the docker client knows its exit codes.
std::string with_plain_reasons(std::string text) {
    for (const std::string_view reason : {"No such file or directory", "Permission denied", "Is a directory"})
        for (std::size_t at = text.find(reason); at != std::string::npos; at = text.find(reason, at))
            text[at] = static_cast<char>(text[at] - 'A' + 'a');
    return text;
}

/// Docker's exit codes for a start that failed.
int code_of_failed_start(const std::string& error) {
    const auto has = [&](const char* text) {
        return error.find(text) != std::string::npos;
    };
    if (has("permission denied") || has("is a directory"))
        return 126;
    return has("no such file or directory") ? 127 : 128;
}

TimePoint time_of(std::int64_t nsec) {
    return TimePoint(std::chrono::duration_cast<TimePoint::duration>(std::chrono::nanoseconds(nsec)));
}
} // namespace

void Engine::Impl::start(const ContainerPointer& container, bool by_policy) {
    std::unique_lock operation(container->operation);
    clean_up(container);
    {
        std::lock_guard lock(container->mutex);
        const Status status = container->state.status;
        if (container->removed || status == Status::removing)
            throw EngineError(ErrorKind::conflict, "container is marked for removal and cannot be started");
        if (by_policy && (status != Status::restarting || stopping))
            return; // stopped or removed while the restart waited
        if (container->state.running())
            throw EngineError(ErrorKind::not_modified, "container " + container->id + " is already running");
        if (stopping)
            throw EngineError(ErrorKind::conflict, "the engine is stopping");
        loop.cancel(std::exchange(container->restart_timer, 0));
        container->stopped_by_user = false;
        if (!by_policy) {
            container->state.restart_count = 0;
            container->failed_restarts = 0;
        }
    }
    try {
        launch(*container);
    } catch (const std::exception& error) {
        const std::string text = with_plain_reasons(base::error_chain(error));
        base::log_error("start container {} ({}): {}", container->name, container->id.substr(0, 12), text);
        bool again = false;
        {
            std::lock_guard lock(container->mutex);
            container->state.status = Status::created;
            if (by_policy || container->state.finished)
                container->state.status = Status::exited;
            container->state.error = text;
            container->state.exit_code = code_of_failed_start(text);
            container->last_end = {container->state.exit_code, text}; // no end: it never ran
            // A restart that fails is tried again, as an end of the container would be.
            again = by_policy && wants_restart(*container);
            if (again)
                container->state.status = Status::restarting;
            container->changed.notify_all();
        }
        save_state(*container);
        if (again)
            schedule_restart(container);
        else if (container->config->auto_remove)
            delete_files(container);
        services_changed.notify_all();
        const auto* engine_error = dynamic_cast<const EngineError*>(&error);
        throw EngineError(engine_error != nullptr ? engine_error->kind() : ErrorKind::failed,
                          "failed to create task for container: " + text);
    }
    save_state(*container);
    publish(*container, "start");
    start_health(container);
    watch(container);
    services_changed.notify_all();
}

void Engine::Impl::watch(const ContainerPointer& container) {
    std::shared_ptr<MonitorConnection> control;
    {
        std::lock_guard lock(container->mutex);
        control = container->control;
    }
    if (control)
        loop.watch(control->fd(), [this, container, control] { read_monitor(container, control); });
}

void Engine::Impl::read_monitor(const ContainerPointer& container, const std::shared_ptr<MonitorConnection>& control) {
    MonitorConnection::Message message;
    for (;;) {
        switch (control->receive(message, 0)) {
        case MonitorConnection::Received::nothing:
            return;
        case MonitorConnection::Received::closed:
            loop.unwatch(control->fd());
            monitor_lost(container);
            return;
        case MonitorConnection::Received::message:
            break;
        }
        if (message.type != monitor::MessageType::state)
            continue;
        const auto parsed = parse_state(message.payload);
        if (parsed && (parsed->phase() == monitor::Phase::exited || parsed->phase() == monitor::Phase::failed)) {
            loop.unwatch(control->fd());
            ended(container, parsed->state, parsed->error);
            return;
        }
    }
}

/// The connection broke without news of an end: the exit record tells, or the monitor was killed.
void Engine::Impl::monitor_lost(const ContainerPointer& container) {
    const std::string path = run_directory_of(container->id) + "/exit";
    std::optional<monitor::ExitRecord> record;
    if (const auto text = base::read_file_if_exists(path, 64 * 1024))
        record = monitor::parse_exit_record(*text);
    monitor::State state{};
    if (record) {
        state.exit_code = record->code;
        state.exit_signal = record->signal;
        state.started_nsec = record->started_nsec;
        state.finished_nsec = record->finished_nsec;
        ended(container, state, record->error);
        return;
    }
    base::log_error("the monitor of container {} ({}) is gone; the container is killed", container->name,
                    container->id.substr(0, 12));
    // Nobody holds its streams or will see its end. What is left of it is killed in clean_up, by the runtime.
    state.exit_signal = SIGKILL;
    ended(container, state, "its monitor was killed");
}

void Engine::Impl::ended(const ContainerPointer& container, const monitor::State& end, const std::string& error) {
    const int code = end.exit_signal != 0 ? 128 + end.exit_signal : end.exit_code;
    std::string cgroup;
    {
        std::lock_guard lock(container->mutex);
        cgroup = container->cgroup;
    }
    const bool oom = oom_kills(cgroup) > 0;
    bool restart = false;
    {
        std::lock_guard lock(container->mutex);
        ContainerState& state = container->state;
        if (!state.running())
            return;
        stop_health(*container);
        state.pid = 0;
        state.exit_code = code;
        state.oom_killed = oom;
        state.error = error;
        state.finished = end.finished_nsec > 0 ? time_of(end.finished_nsec) : std::chrono::system_clock::now();
        container->control.reset();
        container->cleanup_pending = true;
        if (state.started && *state.finished - *state.started > settled_after)
            container->failed_restarts = 0;
        restart = wants_restart(*container);
        container->start_restarts = restart;
        state.status = restart ? Status::restarting : Status::exited;
        container->last_end = {code, error};
        ++container->ends;
        container->changed.notify_all();
    }
    if (oom)
        publish(*container, "oom");
    publish(*container, "die", {{"exitCode", std::to_string(code)}});
    if (container->is_system() || restart)
        base::log_notice("container {} ({}) ended: exit code {}{}{}{}", container->name, container->id.substr(0, 12),
                         code, oom ? ", out of memory" : "", error.empty() ? "" : ": " + error,
                         restart ? "; it is started again" : "");
    services_changed.notify_all();
    tasks.start([this, container] { after_end(container); });
}

void Engine::Impl::after_end(const ContainerPointer& container) {
    std::unique_lock operation(container->operation);
    clean_up(container);
}

/// Takes down what is left of a container that has ended, then does what its end asks for.
void Engine::Impl::clean_up(const ContainerPointer& container) {
    bool restart = false;
    {
        std::lock_guard lock(container->mutex);
        if (!std::exchange(container->cleanup_pending, false))
            return;
        restart = std::exchange(container->start_restarts, false) && container->state.status == Status::restarting;
    }
    const std::string run = run_directory_of(container->id);
    try {
        networks.detach(container->id);
        delete_from_runtime(*container);
        unmount(run + "/rootfs");
        base::remove_tree(run);
    } catch (const std::exception& error) {
        base::log_warning("clean up container {}: {}", container->id, base::error_chain(error));
    }
    {
        std::lock_guard lock(container->mutex);
        container->endpoints.clear();
        container->cgroup.clear();
    }
    save_state(*container);
    if (restart)
        schedule_restart(container);
    else if (container->config->auto_remove)
        delete_files(container);
}

bool Engine::Impl::wants_restart(const ContainerEntry& container) const {
    if (stopping || container.stopped_by_user || container.removed || container.config->auto_remove)
        return false;
    const RestartPolicy policy = container.config->restart;
    switch (policy.kind) {
    case RestartPolicy::Kind::no:
        return false;
    case RestartPolicy::Kind::always:
    case RestartPolicy::Kind::unless_stopped:
        return true;
    case RestartPolicy::Kind::on_failure:
        return container.state.exit_code != 0 &&
               (policy.maximum_retries == 0 || container.state.restart_count < policy.maximum_retries);
    }
    return false;
}

void Engine::Impl::schedule_restart(const ContainerPointer& container) {
    std::lock_guard lock(container->mutex);
    const unsigned doublings = std::min(container->failed_restarts, 10U);
    const auto pause = std::min(first_restart_pause * (1U << doublings), longest_restart_pause);
    ++container->failed_restarts;
    container->restart_timer = loop.after(pause, [this, container] {
        tasks.start([this, container] {
            {
                std::lock_guard inner(container->mutex);
                ++container->state.restart_count;
            }
            start(container, true);
        });
    });
}

void Engine::Impl::kill(const ContainerPointer& container, int signal) {
    const int stop_signal = parse_signal(container->config->stop_signal).value_or(SIGTERM);
    {
        std::lock_guard lock(container->mutex);
        if (!container->state.running() || !container->control)
            throw EngineError(ErrorKind::conflict, "Container " + container->id + " is not running");
        if (signal == SIGKILL || signal == stop_signal)
            container->stopped_by_user = true;
        if (!container->control->send_signal(signal))
            throw EngineError(ErrorKind::failed, "container " + container->id + ": its monitor is gone");
        if (signal == SIGKILL && container->state.status == Status::paused)
            set_frozen(container->cgroup, false); // a frozen process takes no signal
    }
    publish(*container, "kill", {{"signal", std::to_string(signal)}});
}

void Engine::Impl::stop(const ContainerPointer& container, std::optional<int> timeout, const std::string& signal) {
    std::unique_lock operation(container->operation);
    stop_locked(container, timeout, signal);
}

void Engine::Impl::stop_locked(const ContainerPointer& container, std::optional<int> timeout,
                               const std::string& signal) {
    using namespace std::chrono_literals;
    const auto shared_config = container->config.get();
    const ContainerConfig& config = *shared_config;
    const int seconds = timeout.value_or(config.stop_timeout.value_or(10));
    const auto number = parse_signal(!signal.empty()              ? signal
                                     : config.stop_signal.empty() ? "SIGTERM"
                                                                  : config.stop_signal);
    if (!number)
        throw EngineError(ErrorKind::invalid, "invalid signal: " + (signal.empty() ? config.stop_signal : signal));
    {
        std::unique_lock lock(container->mutex);
        if (container->removed)
            throw EngineError(ErrorKind::not_found, "No such container: " + container->id);
        container->stopped_by_user = true;
        loop.cancel(std::exchange(container->restart_timer, 0));
        if (container->state.status == Status::restarting) {
            container->state.status = Status::exited;
            container->changed.notify_all();
            lock.unlock();
            clean_up(container);
            save_state(*container);
            return;
        }
        if (!container->state.running()) {
            lock.unlock();
            clean_up(container);
            throw EngineError(ErrorKind::not_modified, "container " + container->id + " is already stopped");
        }
        if (container->state.status == Status::paused) {
            set_frozen(container->cgroup, false);
            container->state.status = Status::running;
        }
        const auto over = [&] {
            return !container->state.running();
        };
        if (container->control)
            container->control->send_signal(*number);
        if (seconds < 0)
            container->changed.wait(lock, over);
        else if (!container->changed.wait_for(lock, std::chrono::seconds(seconds), over)) {
            if (container->control)
                container->control->send_signal(SIGKILL);
            if (!container->changed.wait_for(lock, 10s, over)) {
                // In uninterruptible sleep, or with a monitor that does not answer.
                const std::string cgroup = container->cgroup;
                lock.unlock();
                if (!cgroup.empty())
                    kill_cgroup(cgroup);
                lock.lock();
                if (!container->changed.wait_for(lock, 10s, over))
                    throw EngineError(ErrorKind::failed, "container " + container->id + " does not end after SIGKILL");
            }
        }
    }
    clean_up(container);
    publish(*container, "stop");
}

void Engine::Impl::set_paused(const ContainerPointer& container, bool paused) {
    std::unique_lock operation(container->operation);
    std::string cgroup;
    {
        std::lock_guard lock(container->mutex);
        const Status wanted = paused ? Status::running : Status::paused;
        if (container->state.status != wanted)
            throw EngineError(ErrorKind::conflict,
                              "Container " + container->id + (paused ? " is not running" : " is not paused"));
        cgroup = container->cgroup;
    }
    if (cgroup.empty())
        throw EngineError(ErrorKind::failed, "container " + container->id + " has no cgroup to freeze");
    set_frozen(cgroup, paused);
    {
        std::lock_guard lock(container->mutex);
        if (container->state.running())
            container->state.status = paused ? Status::paused : Status::running;
    }
    publish(*container, paused ? "pause" : "unpause");
}

void Engine::Impl::remove(const ContainerPointer& container, bool force) {
    {
        std::lock_guard lock(container->mutex);
        const bool alive = container->state.running() || container->state.status == Status::restarting;
        if (alive && !force)
            throw EngineError(ErrorKind::conflict, "cannot remove container \"/" + container->name +
                                                       "\": container is " + to_string(container->state.status) +
                                                       ": stop the container before removing or force remove");
        container->stopped_by_user = true;
        if (container->control)
            container->control->send_signal(SIGKILL); // now: another call may hold the operation, waiting for its end
    }
    std::unique_lock operation(container->operation);
    try {
        stop_locked(container, 0, "SIGKILL");
    } catch (const EngineError& error) {
        if (error.kind() != ErrorKind::not_modified)
            throw;
    }
    delete_files(container);
}

/// Its last moment. `operation` is held.
void Engine::Impl::delete_files(const ContainerPointer& container) {
    {
        std::lock_guard lock(container->mutex);
        if (container->removed)
            return;
        container->state.status = Status::removing;
    }
    // A crash here leaves a directory without config.json, which is removed at the next start.
    const std::string directory = directory_of(container->id);
    std::error_code ignored;
    std::filesystem::remove(directory + "/config.json", ignored);
    base::remove_tree(directory);
    {
        std::lock_guard map_lock(containers_mutex);
        std::lock_guard lock(container->mutex);
        containers.erase(container->id);
        if (const auto found = names.find(container->name); found != names.end() && found->second == container->id)
            names.erase(found);
        container->removed = true;
        for (const auto& weak : std::exchange(container->waiting_attachments, {}))
            if (const auto attachment = weak.lock())
                attachment->close();
        container->changed.notify_all();
    }
    {
        std::lock_guard lock(execs_mutex);
        std::erase_if(execs, [&](const auto& entry) { return entry.second->container == container->id; });
    }
    publish(*container, "destroy");
}

} // namespace engine
