// initctl: ask PID 1, and tell it to stop the machine.
#include <cstdio>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/command_line.hpp"
#include "base/error.hpp"
#include "init/client.hpp"

namespace {

const char* text_of(init::EngineState state) {
    switch (state) {
    case init::EngineState::absent:
        return "absent";
    case init::EngineState::starting:
        return "starting";
    case init::EngineState::running:
        return "running";
    case init::EngineState::hung:
        return "hung";
    case init::EngineState::backoff:
        return "backoff";
    case init::EngineState::stopping:
        return "stopping";
    }
    return "unknown";
}

const char* text_of(init::ShutdownState state) {
    switch (state) {
    case init::ShutdownState::none:
        return "none";
    case init::ShutdownState::engine:
        return "stopping containers";
    case init::ShutdownState::finalize:
        return "finalizing the update";
    case init::ShutdownState::kill:
        return "killing processes";
    case init::ShutdownState::unmount:
        return "unmounting";
    }
    return "unknown";
}

/// A JSON string with its quotes (RFC 8259, section 7). Bytes that are no ASCII pass: init's log is UTF-8 where its
/// writers are.
std::string json_string(std::string_view text) {
    std::string out = "\"";
    for (const char character : text) {
        const auto byte = static_cast<unsigned char>(character);
        if (character == '"' || character == '\\')
            out += {'\\', character};
        else if (byte < 0x20 || byte == 0x7f)
            out += fmt::format("\\u{:04x}", byte);
        else
            out += character;
    }
    return out + '"';
}

void print_status(const init::Status& status) {
    fmt::print("init {}  up {} s\n", status.init_version, status.uptime_msec / 1000);
    fmt::print("revision  {}\n", status.revision[0] == '\0' ? "none (kernel argument atoll.rev is missing)"
                                 : status.on_trial != 0 ? fmt::format("{}, on trial: {} of {} s left", status.revision,
                                                                      status.trial_seconds_left, status.trial_seconds)
                                                        : std::string(status.revision));
    fmt::print("engined   {}, pid {}, restarts {}{}{}\n", text_of(status.engine_state), status.engine_pid,
               status.engine_restarts, status.engine_last_end[0] == '\0' ? "" : ", last end: ", status.engine_last_end);
    fmt::print("watchdog  {}\n", status.watchdog_seconds == 0
                                     ? "none"
                                     : fmt::format("{}, {} s", status.watchdog_identity, status.watchdog_seconds));
    if (status.shutdown_state != init::ShutdownState::none)
        fmt::print("shutdown  {}: {}\n", text_of(status.shutdown_state), status.shutdown_reason);
}

void print_status_json(const init::Status& status) {
    const std::string alive =
        status.engine_alive_msec == UINT64_MAX ? "null" : std::to_string(status.engine_alive_msec);
    fmt::print(
        R"({{"version":{},"uptime_msec":{},"revision":{},"on_trial":{},"trial_seconds":{},"trial_seconds_left":{},)"
        R"("engine":{{"state":{},"pid":{},"restarts":{},"alive_msec":{},"last_end":{}}},)"
        R"("watchdog":{{"identity":{},"seconds":{}}},"shutdown":{{"state":{},"reason":{}}},)"
        R"("log":{{"next":{},"console_dropped":{}}}}})"
        "\n",
        json_string(status.init_version), status.uptime_msec, json_string(status.revision), status.on_trial != 0,
        status.trial_seconds, status.trial_seconds_left, json_string(text_of(status.engine_state)), status.engine_pid,
        status.engine_restarts, alive, json_string(status.engine_last_end), json_string(status.watchdog_identity),
        status.watchdog_seconds, json_string(text_of(status.shutdown_state)), json_string(status.shutdown_reason),
        status.log_next, status.log_console_dropped);
}

void print_line(const init::LogLine& line, bool json) {
    const std::uint64_t seconds = line.monotonic_usec / 1'000'000;
    const std::uint64_t rest = line.monotonic_usec % 1'000'000;
    if (json)
        fmt::print(R"({{"sequence":{},"time":{}.{:06},"level":{},"text":{}}})"
                   "\n",
                   line.sequence, seconds, rest, line.level, json_string(line.text));
    else
        fmt::print("[{:5}.{:06}] {}\n", seconds, rest, line.text);
}

void print_log(init::Client& client, bool json, bool follow) {
    std::uint64_t next = 0;
    for (;;) {
        const std::optional<init::LogLine> line = client.log_line(next);
        if (line) {
            if (line->sequence > next && !json)
                fmt::print("... {} older lines dropped\n", line->sequence - next);
            print_line(*line, json);
            next = line->sequence + 1;
            continue;
        }
        if (!follow)
            return;
        std::fflush(stdout);
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
}

struct Options {
    std::string socket = init::socket_path;
    std::string reason = "initctl";
    bool json = false;
    bool follow = false;
    bool force = false;
};

using Shutdown = void (init::Client::*)(std::string_view, bool);

void add_shutdown(CLI::App& app, Options& options, const char* name, const char* description, Shutdown operation) {
    CLI::App* command = app.add_subcommand(name, description);
    command->add_option("--reason", options.reason, "for the log");
    command->add_flag("--force", options.force, "sync and do it at once, without stopping anything");
    command->callback(
        [&options, operation] { (init::Client::connect(options.socket).*operation)(options.reason, options.force); });
}

int run(int argc, char** argv) {
    CLI::App app("Talks to init, PID 1 of Atoll.");
    Options options;
    app.set_version_flag("--version", base::version());
    app.add_option("--socket", options.socket, "of init")->capture_default_str();
    app.require_subcommand(1);

    CLI::App* status = app.add_subcommand("status", "revision, trial, engined, watchdog");
    status->add_flag("--json", options.json);
    status->callback([&options] {
        const init::Status answer = init::Client::connect(options.socket).status();
        options.json ? print_status_json(answer) : print_status(answer);
    });
    CLI::App* log = app.add_subcommand("log", "the last lines of init and engined");
    log->add_flag("--json", options.json, "one object a line");
    log->add_flag("-f,--follow", options.follow, "wait for more");
    log->callback([&options] {
        init::Client client = init::Client::connect(options.socket);
        print_log(client, options.json, options.follow);
    });
    add_shutdown(app, options, "reboot", "stop everything in order and start again", &init::Client::reboot);
    add_shutdown(app, options, "poweroff", "stop everything in order and switch off", &init::Client::poweroff);
    add_shutdown(app, options, "halt", "stop everything in order and stand still", &init::Client::halt);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return base::end_of_parse(app, error);
    }
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    return base::run_main("initctl", [&] { return run(argc, argv); });
}
