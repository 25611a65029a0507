// Health checks: a command run in the container at an interval.
//
//   starting --passes--> healthy --`retries` failures in a row--> unhealthy --passes--> healthy
// Failures within `start_period`, and within the first interval, do not count.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "base/process.hpp"
#include "core/engine_impl.hpp"

namespace engine {

namespace {
constexpr std::size_t kept_output = 4096;
constexpr std::size_t kept_results = 5;

/// A container that has just started is looked at soon and then less and less often, so that what waits for it does not
/// wait for a whole interval. Failures of that time do not count; see `in_start_window`.
constexpr std::chrono::milliseconds first_pause{200};

/// The time in which a container that is not healthy yet is not called unhealthy.
bool in_start_window(const ContainerEntry& container, TimePoint when) {
    const auto config = container.config.get();
    const HealthConfig& health = config->health;
    return container.state.health == Health::starting &&
           when - container.health_since < std::max(health.start_period, health.interval);
}

} // namespace

void Engine::Impl::start_health(const ContainerPointer& container) {
    std::uint64_t generation = 0;
    {
        std::lock_guard lock(container->mutex);
        const auto config = container->config.get();
        const HealthConfig& health = config->health;
        const bool wanted = health.kind != HealthConfig::Kind::none && !health.command.empty();
        generation = ++container->health_generation;
        container->state.failing_streak = 0;
        container->start_checks = 0;
        container->health_since = std::chrono::system_clock::now();
        container->state.health_log.clear();
        container->state.health = wanted ? Health::starting : Health::none;
        if (!wanted || !container->state.running())
            return;
    }
    schedule_health(container, generation);
}

void Engine::Impl::stop_health(ContainerEntry& container) noexcept {
    ++container.health_generation;
    loop.cancel(std::exchange(container.health_timer, 0));
    if (container.state.health == Health::starting || container.state.health == Health::healthy)
        container.state.health =
            container.config->health.kind == HealthConfig::Kind::none ? Health::none : Health::unhealthy;
}

void Engine::Impl::schedule_health(const ContainerPointer& container, std::uint64_t generation) {
    std::lock_guard lock(container->mutex);
    if (container->health_generation != generation || stopping)
        return;
    auto pause = container->config->health.interval;
    if (in_start_window(*container, std::chrono::system_clock::now()))
        pause = std::min(pause, first_pause * (1U << std::min(container->start_checks++, 5U)));
    container->health_timer = loop.after(pause, [this, container, generation] {
        tasks.start([this, container, generation] { check_health(container, generation); });
    });
}

namespace {
struct CheckOutcome {
    int code = -1;
    std::string output;
};

/// Reads until the child ends or `deadline` passes; output above the limit is read and dropped. True when it ended.
bool read_until_end(const base::Child& child, int output, std::chrono::steady_clock::time_point deadline,
                    std::string& text) {
    pollfd polls[2] = {{output, POLLIN, 0}, {child.pidfd(), POLLIN, 0}};
    for (;;) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
        if (left <= 0)
            return false;
        (void)::poll(polls, 2, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
        char chunk[4096];
        const ssize_t n = polls[0].revents != 0 ? ::read(output, chunk, sizeof chunk) : -1;
        if (n > 0)
            text.append(chunk, std::min(static_cast<std::size_t>(n), kept_output - text.size()));
        else if (n == 0)
            polls[0].fd = -1; // every writer has closed it; the process may live on
        if (n <= 0 && polls[1].revents != 0)
            return true;
        if (n <= 0)
            polls[0].revents = 0;
    }
}

/// Runs `command` (the runtime's exec) with a deadline. When that passes the process in the container is killed first,
/// by the pid file: the runtime, its parent, then reaps it and ends. The other way round it would live on.
CheckOutcome run_check(const std::vector<std::string>& command, const std::string& pid_file,
                       std::chrono::milliseconds timeout) {
    (void)::unlink(pid_file.c_str());
    int fds[2];
    base::check(::pipe2(fds, O_CLOEXEC), "pipe");
    const base::UniqueFd reader(fds[0]);
    base::UniqueFd writer(fds[1]);
    base::check(::fcntl(reader.get(), F_SETFL, O_NONBLOCK), "fcntl");
    base::SpawnOptions spawn;
    spawn.stdout_fd = spawn.stderr_fd = writer.get();
    base::Child child = base::Child::spawn(command, spawn);
    writer.reset();
    CheckOutcome outcome;
    const auto start = std::chrono::steady_clock::now();
    if (read_until_end(child, reader.get(), start + timeout, outcome.output)) {
        outcome.code = child.wait().shell_code();
        return outcome;
    }
    const auto text = base::read_file_if_exists(pid_file, 64);
    if (const int pid = text ? std::atoi(text->c_str()) : 0; pid > 1)
        (void)::kill(pid, SIGKILL);                // not yet reaped by its parent, which still runs: it is that process
    (void)child.wait_for(std::chrono::seconds(2)); // one that does not end is killed by its owner
    outcome.output = fmt::format("health check exceeded timeout ({} ms)", timeout.count());
    return outcome;
}
} // namespace

void Engine::Impl::check_health(const ContainerPointer& container, std::uint64_t generation) {
    const auto config = container->config.get();
    const HealthConfig& health = config->health;
    {
        std::lock_guard lock(container->mutex);
        if (container->health_generation != generation)
            return;
        if (container->state.status == Status::paused) {
            container->health_timer = loop.after(health.interval, [this, container, generation] {
                tasks.start([this, container, generation] { check_health(container, generation); });
            });
            return;
        }
    }
    HealthCheckResult result;
    result.start = std::chrono::system_clock::now();
    const std::string run = run_directory_of(container->id), pid_file = run + "/health.pid";
    try {
        ExecConfig exec;
        exec.command = health.kind == HealthConfig::Kind::shell
                           ? std::vector<std::string>{"/bin/sh", "-c", health.command.front()}
                           : health.command;
        const std::string process = write_process(*container, exec, run + "/health.json");
        const CheckOutcome outcome =
            run_check(runtime_command({"exec", "--process", process, "--pid-file", pid_file, container->id}), pid_file,
                      health.timeout);
        result.exit_code = outcome.code;
        result.output = outcome.output;
    } catch (const std::exception& error) {
        result.exit_code = -1;
        result.output = base::error_chain(error);
    }
    result.end = std::chrono::system_clock::now();

    Health before, after;
    {
        std::lock_guard lock(container->mutex);
        if (container->health_generation != generation)
            return;
        ContainerState& state = container->state;
        before = state.health;
        if (result.exit_code == 0) {
            state.failing_streak = 0;
            state.health = Health::healthy;
        } else if (!in_start_window(*container, result.start)) {
            if (++state.failing_streak >= health.retries)
                state.health = Health::unhealthy;
        }
        after = state.health;
        state.health_log.push_back(result);
        if (state.health_log.size() > kept_results)
            state.health_log.erase(state.health_log.begin());
        container->changed.notify_all();
    }
    if (before != after) {
        publish(*container, std::string("health_status: ") + to_string(after));
        if (after == Health::unhealthy)
            base::log_warning("container {} is unhealthy: exit code {}: {}", container->name, result.exit_code,
                              result.output);
        services_changed.notify_all();
    }
    schedule_health(container, generation);
}

} // namespace engine
