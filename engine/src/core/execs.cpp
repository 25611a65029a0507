// Further processes in a running container, each with a monitor of its own.
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "core/engine_impl.hpp"
#include "core/identity.hpp"
#include "core/oci_config.hpp"

namespace engine {

ExecPointer Engine::Impl::require_exec(const std::string& id) const {
    std::lock_guard lock(execs_mutex);
    if (const auto found = execs.find(id); found != execs.end())
        return found->second;
    throw EngineError(ErrorKind::not_found, "No such exec instance: " + id);
}

std::string Engine::Impl::create_exec(const std::string& reference, ExecConfig config, Caller caller) {
    const auto container = require_changeable(reference, caller);
    if (config.command.empty())
        throw EngineError(ErrorKind::invalid, "No exec command specified");
    {
        std::lock_guard lock(container->mutex);
        if (container->state.status == Status::paused)
            throw EngineError(ErrorKind::conflict,
                              "Container " + container->id + " is paused, unpause the container before exec");
        if (!container->state.running())
            throw EngineError(ErrorKind::conflict, "Container " + container->id + " is not running");
    }
    auto exec = std::make_shared<ExecEntry>();
    exec->id = random_id();
    exec->container = container->id;
    exec->config = std::move(config);
    std::string text;
    for (const std::string& word : exec->config.command)
        text += (text.empty() ? "" : " ") + word;
    {
        std::lock_guard lock(execs_mutex);
        execs.emplace(exec->id, exec);
    }
    publish(*container, "exec_create: " + text, {{"execID", exec->id}});
    return exec->id;
}

std::string Engine::Impl::write_process(const ContainerEntry& container, const ExecConfig& exec,
                                        const std::string& path) const {
    const auto shared_config = container.config.get();
    const ContainerConfig& config = *shared_config;
    const ContainerUser user = look_up_user(run_directory_of(container.id) + "/rootfs",
                                            exec.user.empty() ? config.user : exec.user, config.additional_groups);
    const base::UniqueFd fd = base::open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    base::write_all(fd.get(), make_oci_process(config, exec, hostname_of(container), user), path);
    return path;
}

std::unique_ptr<Attachment> Engine::Impl::start_exec(const std::string& exec_id, bool detach, Caller caller) {
    const ExecPointer exec = require_exec(exec_id);
    const auto container = require_changeable(exec->container, caller);
    {
        std::lock_guard lock(exec->mutex);
        if (std::exchange(exec->started, true))
            throw EngineError(ErrorKind::conflict, "exec command " + exec_id + " is already running");
    }
    const std::string run = run_directory_of(container->id) + "/exec/" + exec_id;
    const auto failed = [&](const std::string& text, int code) {
        std::lock_guard lock(exec->mutex);
        exec->exit_code = code;
        exec->running = false;
        throw EngineError(ErrorKind::failed, "OCI runtime exec failed: " + text);
    };
    std::shared_ptr<MonitorAttachment> attachment;
    try {
        base::make_directories(run, 0700);
        const std::string process = write_process(*container, exec->config, run + "/process.json");
        std::vector<std::string> arguments = {"--id", container->id, "--process", process};
        if (exec->config.tty)
            arguments.emplace_back("--tty");
        if (exec->config.attach_stdin && !detach)
            arguments.insert(arguments.end(), {"--stdin", "--stdin-once"});
        const auto control = start_monitor(run, std::move(arguments));
        (void)await_phase(*control, monitor::Phase::created);
        if (!detach) {
            attachment = std::make_shared<MonitorAttachment>(
                AttachRequest{exec->config.attach_stdin, exec->config.attach_stdout, exec->config.attach_stderr});
            attachment->connect(run);
        }
        (void)control->send(monitor::MessageType::start);
        const ParsedState running = await_phase(*control, monitor::Phase::running);
        {
            std::lock_guard lock(exec->mutex);
            exec->running = true;
            exec->pid = running.state.pid;
            exec->control = control;
        }
        loop.watch(control->fd(), [this, exec, control] { read_exec(exec, control); });
    } catch (const std::exception& error) {
        base::remove_tree(run);
        const std::string text = base::error_chain(error);
        failed(text, text.find("ermission denied") != std::string::npos ? 126 : 127);
    }
    publish(*container, "exec_start: " + exec->config.command.front(), {{"execID", exec_id}});
    if (!attachment)
        return nullptr;
    // docker asks for the exit code as soon as the output has ended, and takes what it is told then. The monitor tells
    // the end on two connections, which two threads of ours read.
    return share_attachment(std::move(attachment), [exec] {
        std::unique_lock lock(exec->mutex);
        exec->ended.wait_for(lock, std::chrono::seconds(10), [&] { return !exec->running; });
    });
}

void Engine::Impl::read_exec(const ExecPointer& exec, const std::shared_ptr<MonitorConnection>& control) {
    MonitorConnection::Message message;
    int code = 137; // when the monitor itself was killed
    for (;;) {
        const auto received = control->receive(message, 0);
        if (received == MonitorConnection::Received::nothing)
            return;
        if (received == MonitorConnection::Received::closed)
            break;
        const auto parsed = message.type == monitor::MessageType::state ? parse_state(message.payload) : std::nullopt;
        if (parsed && (parsed->phase() == monitor::Phase::exited || parsed->phase() == monitor::Phase::failed)) {
            code = parsed->state.exit_signal != 0 ? 128 + parsed->state.exit_signal : parsed->state.exit_code;
            break;
        }
    }
    loop.unwatch(control->fd());
    {
        std::lock_guard lock(exec->mutex);
        exec->running = false;
        exec->exit_code = code;
        exec->pid = 0;
        exec->control.reset();
    }
    exec->ended.notify_all();
    base::remove_tree(run_directory_of(exec->container) + "/exec/" + exec->id);
    if (const auto container = find(exec->container))
        publish(*container, "exec_die", {{"execID", exec->id}, {"exitCode", std::to_string(code)}});
    loop.after(std::chrono::hours(1), [this, id = exec->id] {
        std::lock_guard lock(execs_mutex);
        execs.erase(id);
    });
}

} // namespace engine
