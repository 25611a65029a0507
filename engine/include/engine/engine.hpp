// The engine: every container of this host, their life, and the services.
//
//   engine::Engine engine(options, images, networks);
//   engine.start();                        // finds running containers again, starts services and restart policies
//   std::string id = engine.create("web", config, caller);
//   auto attachment = engine.attach(id, {...}, caller);
//   auto exit = engine.wait(id, WaitCondition::next_exit);   // registered now, before the start
//   engine.start_container(id, caller);
//   exit.wait_for(1s) -> WaitResult
//
// All methods are thread-safe; those that talk to a container block (stop: up to its timeout). `reference` is an id, a
// name (a leading slash is ignored) or a unique prefix of an id. Errors: EngineError; its kind tells the HTTP status.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "engine/container.hpp"
#include "engine/image_store.hpp"
#include "engine/network.hpp"

namespace engine {

enum class ErrorKind {
    invalid,      ///< 400
    forbidden,    ///< 403: a system container, and the caller may not change them
    not_found,    ///< 404
    conflict,     ///< 409: the name is taken, the container runs
    not_modified, ///< 304: started already, stopped already
    failed,       ///< 500: the runtime or the kernel said no
};

class EngineError : public base::Error {
public:
    EngineError(ErrorKind kind, std::string message) : Error(std::move(message)), kind_(kind) {}
    ErrorKind kind() const noexcept { return kind_; }
    /// The HTTP status of the kind.
    unsigned http_status() const noexcept;

private:
    ErrorKind kind_;
};

/// On whose behalf a call is made. Reading is free; what changes a system container needs the permission.
struct Caller {
    bool may_change_system = false;
};

struct Event {
    std::string type;   ///< "container", "image", "network", "volume"
    std::string action; ///< "create", "start", "die", "health_status: healthy", "exec_create: ls", ...
    std::string actor_id;
    std::map<std::string, std::string> attributes; ///< image, name, exitCode, labels ...
    TimePoint time;
    bool system = false; ///< of a system container
};

/// Events from its creation on. Ends when it is destroyed; a reader that is 4096 behind loses the oldest.
class EventSubscription {
public:
    EventSubscription(EventSubscription&&) noexcept;
    EventSubscription& operator=(EventSubscription&&) noexcept;
    ~EventSubscription();
    /// Waits; nullopt after `timeout`, or when the engine stops.
    std::optional<Event> next(std::chrono::milliseconds timeout);

private:
    friend class EventBus;
    struct Queue;
    explicit EventSubscription(std::shared_ptr<Queue> queue);
    std::shared_ptr<Queue> queue_;
};

enum class WaitCondition { not_running, next_exit, removed };

struct WaitResult {
    int exit_code = 0;
    std::string error;
};

/// Registered when made, so that nothing that happens between its creation and `wait_for` is missed.
class ExitWaiter {
public:
    ExitWaiter(ExitWaiter&&) noexcept;
    ExitWaiter& operator=(ExitWaiter&&) noexcept;
    ~ExitWaiter();
    std::optional<WaitResult> wait_for(std::chrono::milliseconds timeout);

private:
    friend class Engine;
    struct State;
    explicit ExitWaiter(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
};

enum class StdStream : std::uint8_t { in = 0, out = 1, error = 2 }; ///< the numbers of Docker's stream header

struct AttachRequest {
    bool stdin_open = false;
    bool stdout_open = true;
    bool stderr_open = true;
};

/// A client of a container's (or exec's) streams. A container that was not started yet is waited for: what it writes
/// from its first byte on is delivered. Output that is not read holds the container back, as a pipe would.
/// One thread reads while another writes.
class Attachment {
public:
    struct Output {
        StdStream stream;
        std::string data;
    };
    virtual ~Attachment() = default;
    /// Waits for output; nullopt when it has ended (the process is gone, or `close` was called).
    virtual std::optional<Output> read() = 0;
    /// Waits until taken. Throws Error(EPIPE) when the process is gone or its input closed.
    virtual void write_stdin(std::string_view data) = 0;
    virtual void close_stdin() = 0;
    /// From any thread: ends the attachment; a blocked read or write returns.
    virtual void close() noexcept = 0;
};

struct ExecConfig {
    std::vector<std::string> command;
    std::vector<std::string> env;  ///< added to the container's
    std::string working_directory; ///< empty: the container's
    std::string user;              ///< empty: the container's
    bool tty = false;
    bool privileged = false;
    bool attach_stdin = false;
    bool attach_stdout = false;
    bool attach_stderr = false;
};

struct ExecInfo {
    std::string id; ///< 64 hexadecimal digits
    std::string container;
    ExecConfig config;
    bool running = false;
    std::optional<int> exit_code;
    pid_t pid = 0;
};

struct ServiceStatus {
    std::string name;
    bool required = false;
    std::string state;  ///< "waiting", then the container's: "running", "restarting", "exited", ...
    std::string health; ///< "none", "starting", "healthy", "unhealthy"
    unsigned restarts = 0;
    std::string detail;    ///< why it is not well, or empty
    std::string container; ///< id, empty when there is none yet
};

/// GET /atoll/v1/health
struct HealthReport {
    bool healthy = false;
    std::vector<ServiceStatus> services;
};

struct EngineOptions {
    std::string state_directory = "/var/lib/atoll/engine";
    std::string run_directory = "/run/atoll/engine";
    std::string runtime = "/usr/bin/ocirun";
    std::string monitor = "/usr/bin/engine-monitor";
    std::string services_directory = "/usr/lib/atoll/services";
    std::string images_directory = "/usr/lib/atoll/images";
    /// Below the cgroup2 mount; "/atoll.system" and "/atoll.user" are put behind it. "none": no cgroups (tests).
    std::string cgroup_parent;
    /// What the host's configuration tells its services: environment variables by service name.
    std::map<std::string, std::map<std::string, std::string>> service_environment;
};

class Engine {
public:
    Engine(EngineOptions options, ImageStore& images, Networks& networks);
    ~Engine(); ///< leaves containers running
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    const EngineOptions& options() const noexcept;

    /// Loads saved containers, finds running ones again, reads the services; starts the threads; then services and
    /// restart policies in the background.
    void start();
    /// Stops users' containers, then services in reverse order. Nothing can be started after.
    void stop_all();

    // Containers. Each throws EngineError.
    /// Returns the id. An empty name: one is made up.
    std::string create(const std::string& name, ContainerConfig config, Caller caller);
    void start_container(const std::string& reference, Caller caller);
    /// `timeout` in seconds, -1: wait for ever; nullopt: the container's. The restart policy does not apply.
    void stop(const std::string& reference, std::optional<int> timeout, Caller caller, const std::string& signal = {});
    void restart(const std::string& reference, std::optional<int> timeout, Caller caller);
    /// "KILL", "SIGHUP", "9"; empty: SIGKILL.
    void kill(const std::string& reference, const std::string& signal, Caller caller);
    void pause(const std::string& reference, Caller caller);
    void unpause(const std::string& reference, Caller caller);
    void rename(const std::string& reference, const std::string& name, Caller caller);
    /// Restart policy and resources; of a running container too.
    void update(const std::string& reference, const std::optional<Resources>& resources,
                const std::optional<RestartPolicy>& restart, Caller caller);
    void remove(const std::string& reference, bool force, Caller caller);

    ContainerInfo get(const std::string& reference) const;
    std::optional<ContainerInfo> find(const std::string& reference) const;
    /// Newest first, system containers among them.
    std::vector<ContainerInfo> list() const;

    ExitWaiter wait(const std::string& reference, WaitCondition condition);
    std::unique_ptr<Attachment> attach(const std::string& reference, const AttachRequest& request, Caller caller);
    void resize(const std::string& reference, unsigned rows, unsigned columns, Caller caller);

    // Exec. An exec is forgotten when its container is removed, or an hour after it ended.
    std::string create_exec(const std::string& reference, ExecConfig config, Caller caller);
    /// Starts it. With `detach` the result is null.
    std::unique_ptr<Attachment> start_exec(const std::string& exec_id, bool detach, Caller caller);
    void resize_exec(const std::string& exec_id, unsigned rows, unsigned columns, Caller caller);
    ExecInfo get_exec(const std::string& exec_id) const;

    /// Calls `use` with a directory that is the container's root file system, mounted for the time of the call when
    /// it is not running (cp, export, diff). Paths in it are hostile: resolve with base::open_in_root.
    void with_rootfs(const std::string& reference, const std::function<void(const std::string& directory)>& use);

    // Events. The API publishes those of images, networks and volumes itself.
    EventSubscription subscribe();
    void publish(Event event);
    /// The last ones kept (at most 1024), oldest first: `since` of a subscriber that comes late.
    std::vector<Event> recent_events() const;

    // Services
    HealthReport health() const;
    std::vector<ServiceStatus> services() const;
    /// Throws not_found.
    void restart_service(const std::string& name, Caller caller);

    /// Monotonic count that grows on every turn of the main loop: the beat engined tells init of.
    std::uint64_t loop_turns() const noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace engine
