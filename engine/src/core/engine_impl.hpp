// The engine's inside. Its functions are in files by topic: engine.cpp (calls, registry), lifecycle.cpp (start, end,
// stop), launch.cpp (what a start sets up), recovery.cpp (after a restart), execs.cpp, health.cpp, services.cpp,
// carried_images.cpp.
#pragma once
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "core/cgroups.hpp"
#include "core/config_json.hpp"
#include "core/container_entry.hpp"
#include "core/event_bus.hpp"
#include "core/loop.hpp"
#include "core/service_config.hpp"
#include "engine/engine.hpp"

namespace engine {

struct ExecEntry {
    std::string id;
    std::string container;
    ExecConfig config;
    std::mutex mutex; ///< guards what follows
    std::condition_variable ended;
    bool started = false;
    bool running = false;
    std::optional<int> exit_code;
    pid_t pid = 0;
    std::shared_ptr<MonitorConnection> control;
};
using ExecPointer = std::shared_ptr<ExecEntry>;

struct ServiceEntry {
    ServiceConfig config;
    std::string container; ///< id, empty before its first start
    std::string problem;   ///< why it could not be started
    unsigned failures = 0; ///< to create or start it, in a row
    std::chrono::steady_clock::time_point next_try{};
    std::chrono::steady_clock::time_point waiting_since{};
    bool starting = false; ///< a task is at it
    bool started = false;
};

struct Engine::Impl {
    Impl(EngineOptions engine_options, ImageStore& image_store, Networks& container_networks);

    // registry (engine.cpp)
    ContainerPointer find(const std::string& reference) const;
    ContainerPointer require(const std::string& reference) const;
    ContainerPointer require_changeable(const std::string& reference, Caller caller) const;
    ContainerInfo snapshot(const ContainerEntry& container) const;
    std::string create(const std::string& name, ContainerConfig config, Caller caller);
    void update(ContainerEntry& container, const std::optional<Resources>& resources,
                const std::optional<RestartPolicy>& restart);
    void publish(const ContainerEntry& container, const std::string& action,
                 std::map<std::string, std::string> attributes = {});

    std::string directory_of(const std::string& id) const { return options.state_directory + "/containers/" + id; }
    std::string run_directory_of(const std::string& id) const { return options.run_directory + "/containers/" + id; }
    std::string log_path_of(const std::string& id) const { return directory_of(id) + "/container.log"; }
    std::string hostname_of(const ContainerEntry& container) const;
    void save_config(const ContainerEntry& container) const;
    void save_state(const ContainerEntry& container) const;

    // launch.cpp
    /// Makes everything, starts the monitor and the container; returns the connection. Throws base::Error; then
    /// nothing is left behind.
    void launch(ContainerEntry& container);
    void prepare_bundle(ContainerEntry& container);
    std::shared_ptr<MonitorConnection> start_monitor(const std::string& run_directory,
                                                     std::vector<std::string> arguments);
    /// Waits until the monitor says `wanted`. Throws base::Error with its error text when it fails, or EngineError.
    ParsedState await_phase(MonitorConnection& connection, monitor::Phase wanted);
    void attach_network(ContainerEntry& container, pid_t pid);
    std::vector<std::string> runtime_command(std::initializer_list<std::string> arguments) const;
    void delete_from_runtime(const ContainerEntry& container) noexcept;

    // lifecycle.cpp
    void start(const ContainerPointer& container, bool by_policy);
    void stop(const ContainerPointer& container, std::optional<int> timeout, const std::string& signal);
    void stop_locked(const ContainerPointer& container, std::optional<int> timeout, const std::string& signal);
    void kill(const ContainerPointer& container, int signal);
    void remove(const ContainerPointer& container, bool force);
    void set_paused(const ContainerPointer& container, bool paused);
    /// From the moment it runs its monitor is listened to.
    void watch(const ContainerPointer& container);
    void read_monitor(const ContainerPointer& container, const std::shared_ptr<MonitorConnection>& control);
    /// In the loop's thread: it has ended, or its monitor is gone.
    void ended(const ContainerPointer& container, const monitor::State& state, const std::string& error);
    void monitor_lost(const ContainerPointer& container);
    void clean_up(const ContainerPointer& container); ///< `operation` held
    void after_end(const ContainerPointer& container);
    void delete_files(const ContainerPointer& container);
    bool wants_restart(const ContainerEntry& container) const; ///< `mutex` held
    void schedule_restart(const ContainerPointer& container);

    // recovery.cpp
    void load_containers();
    void recover(const ContainerPointer& container);
    void remove_orphans();

    // execs.cpp
    ExecPointer require_exec(const std::string& id) const;
    std::string create_exec(const std::string& reference, ExecConfig config, Caller caller);
    std::unique_ptr<Attachment> start_exec(const std::string& exec_id, bool detach, Caller caller);
    void read_exec(const ExecPointer& exec, const std::shared_ptr<MonitorConnection>& control);
    std::string write_process(const ContainerEntry& container, const ExecConfig& exec, const std::string& path) const;

    // health.cpp
    void start_health(const ContainerPointer& container);
    void stop_health(ContainerEntry& container) noexcept; ///< `mutex` held
    void schedule_health(const ContainerPointer& container, std::uint64_t generation);
    void check_health(const ContainerPointer& container, std::uint64_t generation);

    // services.cpp
    void load_services();
    void run_services(); ///< in a task, until every service was started once
    void remove_former_services();
    void start_service(const std::string& name); ///< in a task
    bool service_is_up(const ServiceEntry& service) const;
    bool may_start(const ServiceEntry& service) const; ///< services_mutex held
    std::string ensure_service_container(const ServiceConfig& config);
    void load_carried_images(const std::string& wanted); // carried_images.cpp
    ContainerConfig service_container(const ServiceConfig& config);
    ServiceStatus status_of(const ServiceEntry& service) const;
    std::vector<ServiceStatus> service_statuses() const;
    void stop_all();
    void stop_together(const std::vector<ContainerPointer>& group);
    void stop_for_shutdown(const ContainerPointer& container);

    const EngineOptions options;
    ImageStore& images;
    Networks& networks;
    const Cgroups cgroups;
    EventBus events;
    Loop loop;
    Tasks tasks;
    base::UniqueFd directory_lock; ///< two engines over the same directories would undo each other's work
    std::atomic<bool> stopping = false;

    mutable std::mutex containers_mutex; ///< guards the maps; between a container's `operation` and its `mutex`
    std::map<std::string, ContainerPointer> containers; ///< by id
    std::map<std::string, std::string> names;           ///< name -> id

    mutable std::mutex execs_mutex;
    std::map<std::string, ExecPointer> execs;

    std::mutex carried_images_mutex; ///< held while they are looked at and loaded, with no other
    mutable std::mutex services_mutex;
    std::condition_variable services_changed;
    std::vector<ServiceEntry> services; ///< in the order they start
    std::vector<std::string> service_problems;
};

} // namespace engine
