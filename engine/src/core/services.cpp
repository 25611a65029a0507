// The host's services: read, put in order, started as system containers, stopped in reverse order.
#include <thread>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "core/engine_impl.hpp"
#include "core/identity.hpp"
#include "core/image_defaults.hpp"

namespace engine {

namespace {
using namespace std::chrono_literals;
/// A service is started after this long even when one it waits for is not up: half a machine is better than none.
constexpr auto longest_wait = 60s;
constexpr Caller the_system{true};

/// Without CAP_SYS_RESOURCE (engined in a container itself, tests) a value below our own is refused by the kernel.
bool may_lower_oom_score() {
    const std::string status = base::read_file("/proc/self/status");
    const std::size_t line = status.find("\nCapEff:\t");
    constexpr unsigned sys_resource = 24;
    return line != std::string::npos &&
           (std::strtoull(status.c_str() + line + 9, nullptr, 16) >> sys_resource & 1) != 0;
}

std::string container_name(const std::string& service) {
    return std::string(system_name_prefix) + service;
}
} // namespace

void Engine::Impl::load_services() {
    std::vector<ServiceConfig> loaded;
    std::vector<std::string> problems, files;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(options.services_directory, error))
        if (entry.path().extension() == ".yaml")
            files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const std::string& file : files) {
        try {
            ServiceConfig service = load_service(file);
            if (std::filesystem::path(file).stem() != service.name)
                throw base::Error(file + ": name: must be the file's name");
            loaded.push_back(std::move(service));
        } catch (const std::exception& problem) {
            problems.push_back(base::error_chain(problem));
        }
    }
    loaded = order_services(std::move(loaded), problems);
    for (const std::string& problem : problems)
        base::log_error("{}", problem);
    std::lock_guard lock(services_mutex);
    service_problems = std::move(problems);
    const auto now = std::chrono::steady_clock::now();
    for (ServiceConfig& config : loaded) {
        ServiceEntry service;
        if (const auto existing = find(container_name(config.name)))
            service.container = existing->id; // it may run: its state is told at once
        service.config = std::move(config);
        service.waiting_since = now;
        services.push_back(std::move(service));
    }
}

ContainerConfig Engine::Impl::service_container(const ServiceConfig& service) {
    ContainerConfig config;
    config.system_service = service.name;
    config.labels[system_label] = service.name;
    config.host_rootfs = service.image.empty();
    config.image = service.image;
    config.command = service.command;
    config.user = service.user;
    for (const auto& [name, value] : service.environment)
        config.env.push_back(name + "=" + value);
    if (const auto host = options.service_environment.find(service.name); host != options.service_environment.end())
        for (const auto& [name, value] : host->second)
            config.env.push_back(name + "=" + value);
    config.restart = service.restart;
    config.network_mode = service.network;
    config.pid_mode = service.host_pid ? "host" : "";
    config.only_capabilities = true;
    config.cap_add = service.capabilities;
    config.no_new_privileges = true;
    config.read_only_rootfs = config.host_rootfs;
    config.seccomp = service.seccomp ? "" : "unconfined";
    config.oom_score_adj = may_lower_oom_score() ? -900 : 0;
    for (const ServiceMount& from : service.mounts) {
        ContainerMount mount;
        mount.type = from.type == "tmpfs" ? ContainerMount::Type::tmpfs : ContainerMount::Type::bind;
        mount.source = from.source;
        mount.target = from.target;
        mount.read_only = mount.type == ContainerMount::Type::bind;
        for (const std::string& option : from.options) {
            if (option == "rw" || option == "ro")
                mount.read_only = option == "ro";
            else if (option.ends_with("slave") || option.ends_with("shared") || option.ends_with("private"))
                mount.propagation = option;
            else
                mount.options.push_back(option);
        }
        config.mounts.push_back(std::move(mount));
    }
    for (const std::string& path : service.devices)
        config.devices.push_back({path, path, "rwm"});
    config.resources.memory = static_cast<std::int64_t>(service.memory_max);
    config.resources.memory_min = static_cast<std::int64_t>(service.memory_min);
    config.stop_timeout = static_cast<int>(std::chrono::ceil<std::chrono::seconds>(service.stop_timeout).count());
    config.health = service.health;
    return config;
}

/// The container of a service: the one there is when it is as the service says today, otherwise a new one.
std::string Engine::Impl::ensure_service_container(const ServiceConfig& service) {
    ContainerConfig wanted = service_container(service);
    if (!service.image.empty())
        load_carried_images(service.image);
    if (const auto existing = find(container_name(service.name))) {
        ContainerConfig resolved = wanted;
        if (!service.image.empty()) {
            const auto image = images.resolve(service.image);
            if (!image)
                throw base::Error("no carried image has the name " + service.image);
            apply_image_defaults(resolved, *image);
        }
        if (*existing->config.get() == resolved)
            return existing->id;
        base::log_notice("service {} has changed: its container is made anew", service.name);
        remove(existing, true);
    }
    return create(container_name(service.name), std::move(wanted), the_system);
}

bool Engine::Impl::service_is_up(const ServiceEntry& service) const {
    const auto container = service.container.empty() ? nullptr : find(service.container);
    if (!container)
        return false;
    std::lock_guard lock(container->mutex);
    if (container->state.health != Health::none)
        return container->state.running() && container->state.health == Health::healthy;
    // One that does its work and ends well is up, too.
    return container->state.running() || (container->state.status == Status::exited && container->state.exit_code == 0);
}

bool Engine::Impl::may_start(const ServiceEntry& service) const {
    const auto now = std::chrono::steady_clock::now();
    if (service.started || service.starting || now < service.next_try)
        return false;
    if (now - service.waiting_since > longest_wait)
        return true;
    return std::all_of(service.config.after.begin(), service.config.after.end(), [&](const std::string& name) {
        return std::any_of(services.begin(), services.end(), [&](const ServiceEntry& other) {
            return other.config.name == name && service_is_up(other);
        });
    });
}

void Engine::Impl::remove_former_services() {
    std::vector<ContainerPointer> former;
    {
        std::scoped_lock lock(services_mutex, containers_mutex);
        for (const auto& [id, entry] : containers) {
            const ContainerPointer& container = entry; // clang 14 captures no structured binding
            const auto is_its = [&](const ServiceEntry& service) {
                return service.config.name == container->config->system_service;
            };
            if (container->is_system() && std::none_of(services.begin(), services.end(), is_its))
                former.push_back(container);
        }
    }
    for (const ContainerPointer& container : former) {
        base::log_notice("service {} is no more: its container is removed", container->config->system_service);
        try {
            remove(container, true);
        } catch (const std::exception& error) { // the other services start all the same
            base::log_error("remove container {}: {}", container->name, base::error_chain(error));
        }
    }
}

void Engine::Impl::run_services() {
    remove_former_services();
    std::unique_lock lock(services_mutex);
    while (!stopping &&
           !std::all_of(services.begin(), services.end(), [](const ServiceEntry& s) { return s.started; })) {
        for (ServiceEntry& service : services)
            if (may_start(service)) {
                service.starting = true;
                tasks.start([this, name = service.config.name] { start_service(name); });
            }
        // A change may fall between the look and the wait, so that the wait is bounded.
        services_changed.wait_for(lock, 200ms);
    }
}

void Engine::Impl::start_service(const std::string& name) {
    const auto entry =
        [&]() -> ServiceEntry& { // services_mutex held; the list itself does not change after load_services
        return *std::find_if(services.begin(), services.end(),
                             [&](const ServiceEntry& s) { return s.config.name == name; });
    };
    std::unique_lock lock(services_mutex);
    const ServiceConfig config = entry().config;
    lock.unlock();
    std::string id, problem;
    try {
        id = ensure_service_container(config);
        const ContainerPointer container = require(id);
        bool idle;
        {
            std::lock_guard state_lock(container->mutex);
            idle = !container->state.running() && container->state.status != Status::restarting;
        }
        if (idle)
            start(container, false);
        base::log_info("service {} started", name);
    } catch (const std::exception& error) {
        problem = base::error_chain(error);
        base::log_error("start service {}: {}", name, problem);
    }
    lock.lock();
    ServiceEntry& service = entry();
    service.container = id;
    service.problem = problem;
    service.starting = false;
    service.started = problem.empty() || config.restart.kind == RestartPolicy::Kind::no;
    if (!problem.empty())
        service.next_try =
            std::chrono::steady_clock::now() + std::min(1s * (1U << std::min(service.failures++, 6U)), 60s);
    services_changed.notify_all();
}

ServiceStatus Engine::Impl::status_of(const ServiceEntry& service) const {
    ServiceStatus status;
    status.name = service.config.name;
    status.required = service.config.required;
    status.state = "waiting";
    status.health = service.config.health.kind == HealthConfig::Kind::none ? "none" : "starting";
    status.detail = service.problem;
    const auto container = service.container.empty() ? nullptr : find(service.container);
    if (!container)
        return status;
    std::lock_guard lock(container->mutex);
    const ContainerState& state = container->state;
    status.container = container->id;
    status.state = to_string(state.status);
    status.health = to_string(state.health);
    status.restarts = state.restart_count;
    if (!state.error.empty())
        status.detail = state.error;
    else if (state.status == Status::restarting || (state.status == Status::exited && state.exit_code != 0))
        status.detail =
            fmt::format("ended with exit code {}{}", state.exit_code, state.oom_killed ? ", out of memory" : "");
    else if (state.health == Health::unhealthy && !state.health_log.empty())
        status.detail = fmt::format("health command: exit code {}: {}", state.health_log.back().exit_code,
                                    state.health_log.back().output);
    return status;
}

std::vector<ServiceStatus> Engine::Impl::service_statuses() const {
    std::lock_guard lock(services_mutex);
    std::vector<ServiceStatus> statuses;
    for (const ServiceEntry& service : services)
        statuses.push_back(status_of(service));
    // A file that cannot be read is a service that is missing; which one, and whether it matters, nobody knows: it
    // does.
    for (const std::string& problem : service_problems)
        statuses.push_back({"(configuration)", true, "invalid", "none", 0, problem, ""});
    return statuses;
}

void Engine::Impl::stop_for_shutdown(const ContainerPointer& container) {
    bool by_user;
    {
        std::lock_guard lock(container->mutex);
        by_user = container->stopped_by_user;
    }
    try {
        stop(container, std::nullopt, {});
    } catch (const EngineError& error) {
        if (error.kind() != ErrorKind::not_modified)
            base::log_error("stop container {}: {}", container->name, error.what());
        return;
    }
    {
        // Stopped by the engine, not by a user: "unless-stopped" starts it again after the reboot.
        std::lock_guard lock(container->mutex);
        container->stopped_by_user = by_user;
    }
    save_state(*container);
}

void Engine::Impl::stop_together(const std::vector<ContainerPointer>& group) {
    std::vector<std::thread> threads;
    for (const ContainerPointer& container : group)
        threads.emplace_back([this, container] { stop_for_shutdown(container); });
    for (std::thread& thread : threads)
        thread.join();
}

void Engine::Impl::stop_all() {
    stopping = true;
    services_changed.notify_all();
    std::vector<ContainerPointer> users;
    {
        std::lock_guard lock(containers_mutex);
        for (const auto& [id, container] : containers)
            if (!container->is_system())
                users.push_back(container);
    }
    stop_together(users);

    // A service's depth is more than that of those it comes after: the deepest stop first, those of a depth together.
    std::map<int, std::vector<ContainerPointer>, std::greater<>> by_depth;
    {
        std::lock_guard lock(services_mutex);
        std::map<std::string, int> depths;
        for (const ServiceEntry& service : services) { // in their order: what it comes after is there already
            int depth = 0;
            for (const std::string& other : service.config.after)
                depth = std::max(depth, depths[other] + 1);
            depths[service.config.name] = depth;
            if (const auto container = service.container.empty() ? nullptr : find(service.container))
                by_depth[depth].push_back(container);
        }
    }
    for (const auto& [depth, group] : by_depth)
        stop_together(group);
}

} // namespace engine
