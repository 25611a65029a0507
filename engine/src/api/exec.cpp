// Exec: a further process in a running container.
#include "api/create_body.hpp"
#include "api/json_answer.hpp"
#include "api/raw_stream.hpp"
#include "api/routes.hpp"

namespace engine::api {
namespace {

ExecConfig read_exec_config(const json::value& body) {
    return checked_body([&] {
        const base::JsonObject object(body, "request body");
        ExecConfig config;
        config.command = object.strings("Cmd");
        config.env = object.strings("Env");
        config.working_directory = object.string("WorkingDir");
        config.user = object.string("User");
        config.tty = object.boolean("Tty");
        config.privileged = object.boolean("Privileged");
        config.attach_stdin = object.boolean("AttachStdin");
        config.attach_stdout = object.boolean("AttachStdout");
        config.attach_stderr = object.boolean("AttachStderr");
        return config;
    });
}

/// Says why a command could not be run, where its output would have been: the client then asks for the exit code, which
/// is 126 or 127 as in a shell. An HTTP error instead would make it exit with 1.
class FailureText final : public Attachment {
public:
    explicit FailureText(std::string text) : output_({StdStream::error, std::move(text)}) {}
    std::optional<Output> read() override { return std::exchange(output_, std::nullopt); }
    void write_stdin(std::string_view) override {}
    void close_stdin() override {}
    void close() noexcept override {}

private:
    std::optional<Output> output_;
};

std::shared_ptr<Attachment> start_or_say_why(Call& call, const ExecInfo& info, bool detach) {
    try {
        return call.context.engine.start_exec(info.id, detach, call.caller);
    } catch (const EngineError& error) {
        if (detach || error.kind() != ErrorKind::failed || !call.context.engine.get_exec(info.id).exit_code)
            throw;
        return std::make_shared<FailureText>(base::error_chain(error) + "\r\n");
    }
}

void create(Call& call) {
    ExecConfig config = read_exec_config(read_json(call));
    if (config.command.empty())
        throw HttpError(400, "No exec command specified");
    check_environment(config.env);
    const std::string id = call.context.engine.create_exec(call.parameter(), std::move(config), call.caller);
    send_json(call, 201, json::object{{"Id", id}});
}

void start(Call& call) {
    const json::value body = read_json(call);
    const bool detach = checked_body([&] { return base::JsonObject(body, "request body").boolean("Detach"); });
    const ExecInfo info = call.context.engine.get_exec(call.parameter());
    std::shared_ptr<Attachment> attachment = start_or_say_why(call, info, detach);
    if (!attachment) {
        call.response.send(200, "");
        return;
    }
    carry_streams(call, std::move(attachment), info.config.tty, info.config.attach_stdin);
}

void resize(Call& call) {
    call.context.engine.resize_exec(call.parameter(), query_number(call.request, "h", 0),
                                    query_number(call.request, "w", 0), call.caller);
    call.response.send(200, "");
}

void inspect(Call& call) {
    const ExecInfo info = call.context.engine.get_exec(call.parameter());
    const ExecConfig& config = info.config;
    const std::vector<std::string> arguments(config.command.begin() + (config.command.empty() ? 0 : 1),
                                             config.command.end());
    const json::object process{{"tty", config.tty},
                               {"entrypoint", config.command.empty() ? "" : config.command.front()},
                               {"arguments", to_json(arguments)},
                               {"privileged", config.privileged},
                               {"user", config.user}};
    send_json(call, 200,
              json::object{{"ID", info.id},
                           {"Running", info.running},
                           {"ExitCode", info.exit_code ? json::value(*info.exit_code) : json::value(nullptr)},
                           {"ProcessConfig", process},
                           {"OpenStdin", config.attach_stdin},
                           {"OpenStdout", config.attach_stdout},
                           {"OpenStderr", config.attach_stderr},
                           {"CanRemove", false},
                           {"ContainerID", info.container},
                           {"DetachKeys", ""},
                           {"Pid", info.pid}});
}

} // namespace

void add_exec_routes(Router& router) {
    router.add("POST", "containers/{}/exec", create);
    router.add("POST", "exec/{}/start", start);
    router.add("POST", "exec/{}/resize", resize);
    router.add("GET", "exec/{}/json", inspect);
}

} // namespace engine::api
