// Attach, logs, wait, resize: what lasts longer than an answer.
#include "api/json_answer.hpp"
#include "api/raw_stream.hpp"
#include "api/routes.hpp"
#include "api/time_text.hpp"
#include "engine/log_reader.hpp"

namespace engine::api {
namespace {

constexpr std::chrono::milliseconds look_interval{250};

void attach(Call& call) {
    const auto& request = call.request;
    const ContainerInfo info = call.context.engine.get(call.parameter());
    AttachRequest wanted{.stdin_open = request.query_flag("stdin") && info.config->open_stdin,
                         .stdout_open = request.query_flag("stdout"),
                         .stderr_open = request.query_flag("stderr")};
    if (info.state.status == Status::paused)
        throw HttpError(409, fmt::format("container {} is paused, unpause the container before attach", info.id));
    parse_detach_keys(request.query_value("detachKeys"));
    std::shared_ptr<Attachment> attachment = call.context.engine.attach(info.id, wanted, call.caller);
    carry_streams(call, std::move(attachment), info.config->tty, wanted.stdin_open);
}

LogReadOptions log_options(const base::http::Request& request) {
    LogReadOptions options{.since = parse_timestamp(request.query_value("since"), "since"),
                           .until = parse_timestamp(request.query_value("until"), "until"),
                           .standard_output = request.query_flag("stdout"),
                           .standard_error = request.query_flag("stderr"),
                           .follow = request.query_flag("follow")};
    if (!options.standard_output && !options.standard_error)
        throw HttpError(400, "Bad parameters: you must choose at least one stream");
    const std::string tail = request.query_value("tail", "all");
    // As docker: what is no number means all.
    if (!tail.empty() && tail.size() < 10 && tail.find_first_not_of("0123456789") == std::string::npos)
        options.tail = std::stoull(tail);
    return options;
}

/// Whether more output can come.
bool may_write(const Engine& engine, const std::string& id) {
    const auto info = engine.find(id);
    return info && (info->state.running() || info->state.status == Status::restarting);
}

void logs(Call& call) {
    const ContainerInfo info = call.context.engine.get(call.parameter());
    const LogReadOptions options = log_options(call.request);
    if (info.config->log.driver == LogConfig::Driver::none)
        throw HttpError(501, "configured logging driver does not support reading");
    const bool timestamps = call.request.query_flag("timestamps");
    LogReader reader(info.log_path, options);
    call.response.begin(200, stream_type(call, info.config->tty));
    bool ending = !options.follow;
    while (!call.ended()) {
        const auto entry = reader.next(look_interval);
        if (!entry) {
            if (ending)
                break;
            // Read once more after the end: the last lines came between.
            ending = !may_write(call.context.engine, info.id);
            continue;
        }
        const StdStream stream = entry->standard_error ? StdStream::error : StdStream::out;
        call.response.write(
            stream_frame(stream, timestamps ? entry->time + " " + entry->text : entry->text, info.config->tty));
    }
    call.response.end();
}

WaitCondition wait_condition(const std::string& text) {
    if (text.empty() || text == "not-running")
        return WaitCondition::not_running;
    if (text == "next-exit")
        return WaitCondition::next_exit;
    if (text == "removed")
        return WaitCondition::removed;
    throw HttpError(400, fmt::format("invalid condition: {:?}", text));
}

void wait(Call& call) {
    const WaitCondition condition = wait_condition(call.request.query_value("condition"));
    ExitWaiter waiter = call.context.engine.wait(call.parameter(), condition);
    // The client starts the container only when it has seen this header.
    call.response.begin(200, "application/json");
    while (!call.ended()) {
        const auto result = waiter.wait_for(look_interval);
        if (!result)
            continue;
        json::object body{{"StatusCode", result->exit_code}};
        if (!result->error.empty())
            body["Error"] = json::object{{"Message", result->error}};
        call.response.write(json::serialize(body) + "\n");
        break;
    }
    call.response.end();
}

void resize(Call& call) {
    const unsigned rows = query_number(call.request, "h", 0);
    const unsigned columns = query_number(call.request, "w", 0);
    if (rows > 65535 || columns > 65535)
        throw HttpError(400, "invalid terminal size");
    call.context.engine.resize(call.parameter(), rows, columns, call.caller);
    call.response.send(200, "");
}

} // namespace

void add_stream_routes(Router& router) {
    router.add("POST", "containers/{}/attach", attach);
    router.add("GET", "containers/{}/logs", logs);
    router.add("POST", "containers/{}/wait", wait);
    router.add("POST", "containers/{}/resize", resize);
}

} // namespace engine::api
