// The registry of containers, and the public calls.
#include "engine/engine.hpp"

#include <sys/file.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "base/process.hpp"
#include "core/container_files.hpp"
#include "core/engine_impl.hpp"
#include "core/identity.hpp"
#include "core/image_defaults.hpp"
#include "core/oci_config.hpp"

namespace engine {

Engine::Impl::Impl(EngineOptions engine_options, ImageStore& image_store, Networks& container_networks)
    : options(std::move(engine_options)), images(image_store), networks(container_networks),
      cgroups(options.cgroup_parent) {}

// --- registry ---

ContainerPointer Engine::Impl::find(const std::string& reference) const {
    std::string name = reference;
    if (name.starts_with('/'))
        name.erase(0, 1);
    if (name.empty())
        return nullptr;
    std::lock_guard lock(containers_mutex);
    if (const auto found = containers.find(name); found != containers.end())
        return found->second;
    if (const auto found = names.find(name); found != names.end()) {
        const auto named = containers.find(found->second);
        return named == containers.end() ? nullptr : named->second; // one that is being created is not there yet
    }
    const auto first = containers.lower_bound(name);
    if (first == containers.end() || !first->first.starts_with(name))
        return nullptr;
    if (const auto second = std::next(first); second != containers.end() && second->first.starts_with(name))
        throw EngineError(ErrorKind::invalid, "multiple IDs found with provided prefix: " + name);
    return first->second;
}

ContainerPointer Engine::Impl::require(const std::string& reference) const {
    if (auto container = find(reference))
        return container;
    throw EngineError(ErrorKind::not_found, "No such container: " + reference);
}

ContainerPointer Engine::Impl::require_changeable(const std::string& reference, Caller caller) const {
    auto container = require(reference);
    if (container->is_system() && !caller.may_change_system)
        throw EngineError(ErrorKind::forbidden,
                          "container " + container->name + " is part of the system; it is changed by enginectl only");
    return container;
}

ContainerInfo Engine::Impl::snapshot(const ContainerEntry& container) const {
    std::lock_guard lock(container.mutex);
    ContainerInfo info;
    info.id = container.id;
    info.name = container.name;
    info.created = container.created;
    info.config = container.config.get();
    info.state = container.state;
    info.endpoints = container.endpoints;
    info.directory = directory_of(container.id);
    info.log_path = log_path_of(container.id);
    info.cgroup = container.cgroup;
    info.lower_directories = container.lower_directories;
    return info;
}

void Engine::Impl::publish(const ContainerEntry& container, const std::string& action,
                           std::map<std::string, std::string> attributes) {
    Event event;
    event.type = "container";
    event.action = action;
    event.actor_id = container.id;
    event.time = std::chrono::system_clock::now();
    const auto config = container.config.get();
    attributes.insert(config->labels.begin(), config->labels.end());
    attributes["image"] = config->image;
    event.system = container.is_system();
    {
        std::lock_guard lock(container.mutex);
        attributes["name"] = container.name;
    }
    event.attributes = std::move(attributes);
    events.publish(std::move(event));
}

void Engine::Impl::save_config(const ContainerEntry& container) const {
    SavedContainer saved;
    {
        std::lock_guard lock(container.mutex);
        saved = {container.id, container.name, container.created, *container.config.get(), container.lower_directories};
    }
    base::write_durable(directory_of(container.id) + "/config.json", format_saved_container(saved), 0600);
}

void Engine::Impl::save_state(const ContainerEntry& container) const {
    SavedState saved;
    {
        std::lock_guard lock(container.mutex);
        if (container.removed)
            return;
        saved = {container.state, container.stopped_by_user};
    }
    // The container runs or has ended whether this is written or not (a full disk): told, and gone on.
    try {
        base::write_durable(directory_of(container.id) + "/state.json", format_saved_state(saved), 0600);
    } catch (const std::exception& error) {
        base::log_error("save the state of container {}: {}", container.id, base::error_chain(error));
    }
}

std::string Engine::Impl::create(const std::string& wanted_name, ContainerConfig config, Caller caller) {
    const bool system = !config.system_service.empty();
    if ((system || config.host_rootfs || config.labels.contains(system_label) ||
         wanted_name.starts_with(system_name_prefix)) &&
        !caller.may_change_system)
        throw EngineError(ErrorKind::forbidden,
                          "names with \"atoll.\" and the label atoll.system are the system's own");
    std::string name = wanted_name;
    if (name.starts_with('/'))
        name.erase(0, 1);
    if (!name.empty() && !valid_container_name(name))
        throw EngineError(ErrorKind::invalid,
                          "Invalid container name (" + name + "), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
    auto container = std::make_shared<ContainerEntry>(random_id());
    if (!config.host_rootfs) {
        const auto image = images.resolve(config.image);
        if (!image)
            throw EngineError(ErrorKind::not_found, "No such image: " + config.image);
        apply_image_defaults(config, *image);
        container->lower_directories = image->lower_directories;
    }
    check_container_config(config);
    if (names_network(config) && !networks.find(config.network_mode))
        throw EngineError(ErrorKind::not_found, "network " + config.network_mode + " not found");
    container->created = std::chrono::system_clock::now();
    container->config.set(std::move(config));
    {
        std::lock_guard lock(containers_mutex);
        if (name.empty())
            do
                name = make_up_name();
            while (names.contains(name));
        if (const auto found = names.find(name); found != names.end())
            throw EngineError(ErrorKind::conflict,
                              "Conflict. The container name \"/" + name + "\" is already in use by container \"" +
                                  found->second +
                                  "\". You have to remove (or rename) that container to be able to reuse that name.");
        container->name = name;
        names[name] = container->id; // taken from here on; the container itself is not seen before it is on disk
    }
    try {
        base::make_directories(directory_of(container->id), 0710);
        save_config(*container);
    } catch (...) {
        base::remove_tree(directory_of(container->id));
        std::lock_guard lock(containers_mutex);
        names.erase(name);
        throw;
    }
    {
        std::lock_guard lock(containers_mutex);
        containers[container->id] = container;
    }
    publish(*container, "create");
    return container->id;
}

void Engine::Impl::update(ContainerEntry& container, const std::optional<Resources>& resources,
                          const std::optional<RestartPolicy>& restart) {
    std::unique_lock operation(container.operation);
    ContainerConfig config = *container.config.get();
    if (restart)
        config.restart = *restart;
    if (resources)
        config.resources = *resources;
    check_container_config(config);
    bool running;
    {
        std::lock_guard lock(container.mutex);
        running = container.state.running();
    }
    if (resources && running) {
        base::RunOptions run;
        run.input = make_oci_resources(*resources);
        run.timeout = std::chrono::seconds(30);
        base::run_checked(runtime_command({"update", "--resources", "-", container.id}), run);
    }
    container.config.set(std::move(config));
    save_config(container);
    publish(container, "update");
}

// --- waiting ---

struct ExitWaiter::State {
    ContainerPointer container;
    WaitCondition condition;
    std::uint64_t ends;
};

ExitWaiter::ExitWaiter(std::shared_ptr<State> state) : state_(std::move(state)) {}
ExitWaiter::ExitWaiter(ExitWaiter&&) noexcept = default;
ExitWaiter& ExitWaiter::operator=(ExitWaiter&&) noexcept = default;
ExitWaiter::~ExitWaiter() = default;

std::optional<WaitResult> ExitWaiter::wait_for(std::chrono::milliseconds timeout) {
    ContainerEntry& container = *state_->container;
    std::unique_lock lock(container.mutex);
    const auto over = [&] {
        switch (state_->condition) {
        case WaitCondition::not_running:
            return container.removed || !(container.state.running() || container.state.status == Status::restarting);
        case WaitCondition::next_exit:
            return container.removed || container.ends != state_->ends;
        case WaitCondition::removed:
            return container.removed;
        }
        return true;
    };
    if (!container.changed.wait_for(lock, timeout, over))
        return std::nullopt;
    // The error of an end is not one of the removal.
    return state_->condition == WaitCondition::removed ? WaitResult{container.last_end.exit_code, {}}
                                                       : container.last_end;
}

// --- the public calls ---

Engine::Engine(EngineOptions options, ImageStore& images, Networks& networks)
    : impl_(std::make_unique<Impl>(std::move(options), images, networks)) {}

Engine::~Engine() {
    impl_->stopping = true;
    impl_->services_changed.notify_all();
    impl_->events.stop();
    impl_->tasks.join();
    impl_->loop.stop();
}

const EngineOptions& Engine::options() const noexcept {
    return impl_->options;
}

void Engine::start() {
    base::make_directories(impl_->options.state_directory + "/containers", 0710);
    base::make_directories(impl_->options.run_directory + "/containers", 0710);
    impl_->directory_lock = base::open_file(impl_->options.state_directory + "/engine.lock", O_RDWR | O_CREAT, 0600);
    if (::flock(impl_->directory_lock.get(), LOCK_EX | LOCK_NB) < 0)
        throw base::Error(errno, "lock " + impl_->options.state_directory + "/engine.lock: does another engined run?");
    impl_->loop.start();
    impl_->load_containers();
    impl_->load_services();
    impl_->tasks.start([impl = impl_.get()] { impl->run_services(); });
}

void Engine::stop_all() {
    impl_->stop_all();
}

std::string Engine::create(const std::string& name, ContainerConfig config, Caller caller) {
    return impl_->create(name, std::move(config), caller);
}

void Engine::start_container(const std::string& reference, Caller caller) {
    impl_->start(impl_->require_changeable(reference, caller), false);
}

void Engine::stop(const std::string& reference, std::optional<int> timeout, Caller caller, const std::string& signal) {
    impl_->stop(impl_->require_changeable(reference, caller), timeout, signal);
}

void Engine::restart(const std::string& reference, std::optional<int> timeout, Caller caller) {
    const auto container = impl_->require_changeable(reference, caller);
    try {
        impl_->stop(container, timeout, {});
    } catch (const EngineError& error) {
        if (error.kind() != ErrorKind::not_modified)
            throw;
    }
    impl_->start(container, false);
    impl_->publish(*container, "restart");
}

void Engine::kill(const std::string& reference, const std::string& signal, Caller caller) {
    const auto container = impl_->require_changeable(reference, caller);
    const auto number = parse_signal(signal.empty() ? "KILL" : signal);
    if (!number)
        throw EngineError(ErrorKind::invalid, "invalid signal: " + signal);
    impl_->kill(container, *number);
}

void Engine::pause(const std::string& reference, Caller caller) {
    impl_->set_paused(impl_->require_changeable(reference, caller), true);
}

void Engine::unpause(const std::string& reference, Caller caller) {
    impl_->set_paused(impl_->require_changeable(reference, caller), false);
}

void Engine::rename(const std::string& reference, const std::string& name, Caller caller) {
    const auto container = impl_->require_changeable(reference, caller);
    const std::string wanted = name.starts_with('/') ? name.substr(1) : name;
    if (!valid_container_name(wanted))
        throw EngineError(ErrorKind::invalid,
                          "Invalid container name (" + wanted + "), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
    if (wanted.starts_with(system_name_prefix) && !caller.may_change_system)
        throw EngineError(ErrorKind::forbidden, "names with \"atoll.\" are the system's own");
    std::unique_lock operation(container->operation);
    std::string old;
    {
        std::lock_guard map_lock(impl_->containers_mutex);
        if (const auto found = impl_->names.find(wanted); found != impl_->names.end())
            throw EngineError(ErrorKind::conflict, "Conflict. The container name \"/" + wanted +
                                                       "\" is already in use by container \"" + found->second + "\".");
        std::lock_guard lock(container->mutex);
        old = std::exchange(container->name, wanted);
        impl_->names.erase(old);
        impl_->names[wanted] = container->id;
    }
    impl_->save_config(*container);
    impl_->publish(*container, "rename", {{"oldName", "/" + old}});
}

void Engine::update(const std::string& reference, const std::optional<Resources>& resources,
                    const std::optional<RestartPolicy>& restart, Caller caller) {
    impl_->update(*impl_->require_changeable(reference, caller), resources, restart);
}

void Engine::remove(const std::string& reference, bool force, Caller caller) {
    impl_->remove(impl_->require_changeable(reference, caller), force);
}

ContainerInfo Engine::get(const std::string& reference) const {
    return impl_->snapshot(*impl_->require(reference));
}

std::optional<ContainerInfo> Engine::find(const std::string& reference) const {
    const auto container = impl_->find(reference);
    return container ? std::optional(impl_->snapshot(*container)) : std::nullopt;
}

std::vector<ContainerInfo> Engine::list() const {
    std::vector<ContainerPointer> all;
    {
        std::lock_guard lock(impl_->containers_mutex);
        for (const auto& [id, container] : impl_->containers)
            all.push_back(container);
    }
    std::vector<ContainerInfo> infos;
    for (const auto& container : all)
        infos.push_back(impl_->snapshot(*container));
    std::stable_sort(infos.begin(), infos.end(),
                     [](const ContainerInfo& a, const ContainerInfo& b) { return a.created > b.created; });
    return infos;
}

ExitWaiter Engine::wait(const std::string& reference, WaitCondition condition) {
    const auto container = impl_->require(reference);
    std::lock_guard lock(container->mutex);
    return ExitWaiter(std::make_shared<ExitWaiter::State>(ExitWaiter::State{container, condition, container->ends}));
}

std::unique_ptr<Attachment> Engine::attach(const std::string& reference, const AttachRequest& request, Caller caller) {
    const auto container =
        request.stdin_open ? impl_->require_changeable(reference, caller) : impl_->require(reference);
    auto attachment = std::make_shared<MonitorAttachment>(request);
    bool waits = false;
    {
        std::lock_guard lock(container->mutex);
        if (container->removed)
            throw EngineError(ErrorKind::not_found, "No such container: " + reference);
        waits = !container->state.running();
        if (waits)
            container->waiting_attachments.push_back(attachment);
    }
    if (!waits)
        attachment->connect(impl_->run_directory_of(container->id));
    return share_attachment(std::move(attachment));
}

void Engine::resize(const std::string& reference, unsigned rows, unsigned columns, Caller caller) {
    const auto container = impl_->require_changeable(reference, caller);
    std::lock_guard lock(container->mutex);
    if (!container->control || !container->control->send_resize(rows, columns))
        throw EngineError(ErrorKind::conflict, "Container " + container->id + " is not running");
}

std::string Engine::create_exec(const std::string& reference, ExecConfig config, Caller caller) {
    return impl_->create_exec(reference, std::move(config), caller);
}

std::unique_ptr<Attachment> Engine::start_exec(const std::string& exec_id, bool detach, Caller caller) {
    return impl_->start_exec(exec_id, detach, caller);
}

void Engine::resize_exec(const std::string& exec_id, unsigned rows, unsigned columns, Caller caller) {
    const auto exec = impl_->require_exec(exec_id);
    (void)impl_->require_changeable(exec->container, caller);
    std::lock_guard lock(exec->mutex);
    if (!exec->control || !exec->control->send_resize(rows, columns))
        throw EngineError(ErrorKind::conflict, "exec " + exec_id + " is not running");
}

ExecInfo Engine::get_exec(const std::string& exec_id) const {
    const auto exec = impl_->require_exec(exec_id);
    std::lock_guard lock(exec->mutex);
    return {exec->id, exec->container, exec->config, exec->running, exec->exit_code, exec->pid};
}

void Engine::with_rootfs(const std::string& reference, const std::function<void(const std::string& directory)>& use) {
    const auto container = impl_->require(reference);
    std::unique_lock operation(container->operation);
    impl_->clean_up(container);
    const std::string run = impl_->run_directory_of(container->id), rootfs = run + "/rootfs";
    bool running;
    {
        std::lock_guard lock(container->mutex);
        running = container->state.running();
    }
    if (running) {
        operation.unlock(); // a copy may take long; a container that ends meanwhile leaves an unmounted directory
        use(rootfs);
        return;
    }
    if (container->config->host_rootfs)
        throw EngineError(ErrorKind::invalid, "container " + container->name + " has the host's root file system");
    base::make_directories(rootfs, 0755);
    mount_overlay(container->lower_directories, impl_->directory_of(container->id), rootfs);
    const auto done = [&] {
        unmount(rootfs);
        base::remove_tree(run);
    };
    try {
        use(rootfs);
    } catch (...) {
        done();
        throw;
    }
    done();
}

EventSubscription Engine::subscribe() {
    return impl_->events.subscribe();
}
void Engine::publish(Event event) {
    impl_->events.publish(std::move(event));
}
std::vector<Event> Engine::recent_events() const {
    return impl_->events.recent();
}

HealthReport Engine::health() const {
    HealthReport report;
    report.services = impl_->service_statuses();
    report.healthy = true;
    for (const ServiceStatus& service : report.services)
        if (service.required &&
            (service.state != "running" || service.health == "unhealthy" || service.health == "starting"))
            report.healthy = false;
    return report;
}

std::vector<ServiceStatus> Engine::services() const {
    return impl_->service_statuses();
}

void Engine::restart_service(const std::string& name, Caller caller) {
    std::string container;
    {
        std::lock_guard lock(impl_->services_mutex);
        for (const ServiceEntry& service : impl_->services)
            if (service.config.name == name)
                container = service.container;
    }
    if (container.empty())
        throw EngineError(ErrorKind::not_found, "No such service: " + name);
    restart(container, std::nullopt, caller);
}

std::uint64_t Engine::loop_turns() const noexcept {
    return impl_->loop.turns();
}

} // namespace engine
