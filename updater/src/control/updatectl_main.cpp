#include <cstdio>

#include <CLI/CLI.hpp>

#include "base/cli.hpp"
#include "base/json.hpp"
#include "bus_client.hpp"
#include "progress_bar.hpp"
#include "record_json.hpp"
#include "report.hpp"
#include "updater/paths.hpp"

namespace {

using namespace updater;

struct Arguments {
    std::string socket = Paths{}.bus_socket;
    bool as_json = false;
    bool reboot = false;
    bool force = false;
    bool allow_downgrade = false;
    bool ignore_rollout = false;
};

void print(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    if (text.empty() || text.back() != '\n')
        std::fputs("\n", stdout);
}

int status(const Arguments& arguments) {
    BusClient client(arguments.socket);
    const std::string text = client.call("Status");
    print(arguments.as_json ? text : render_status(text));
    return 0;
}

int history(const Arguments& arguments) {
    BusClient client(arguments.socket);
    const std::string text = client.call("History");
    print(arguments.as_json ? text : render_history(text));
    return 0;
}

std::string call_with_progress(const Arguments& arguments, const std::string& method) {
    BusClient client(arguments.socket);
    ProgressBar bar;
    client.on_state = [&](const std::string& state) {
        bar.stage(state);
    };
    client.on_progress = [&](std::uint64_t bytes, std::uint64_t total_bytes, std::uint64_t objects,
                             std::uint64_t total) {
        bar.show(bytes, total_bytes, objects, total);
    };
    return client.call(method, {{"reboot", arguments.reboot},
                                {"force", arguments.force},
                                {"allow-downgrade", arguments.allow_downgrade},
                                {"ignore-rollout", arguments.ignore_rollout}});
}

int check(const Arguments& arguments) {
    const std::string text = call_with_progress(arguments, "Check");
    if (arguments.as_json) {
        print(text);
        return 0;
    }
    const base::json::value document = base::parse_json(text, "answer");
    const base::JsonObject answer(document, "answer");
    const Release release = release_from_json(answer.object("release"));
    if (const std::string waits = answer.string("waits"); !waits.empty())
        print(waits);
    else if (!answer.boolean("newer"))
        print(fmt::format("up to date: {} is booted", release.version));
    else
        print(fmt::format("{} is available, commit {}{}{}", release.version, release.commit.substr(0, 12),
                          answer.integer("bytes") > 0
                              ? fmt::format(", {:.1f} MB to fetch", static_cast<double>(answer.integer("bytes")) / 1e6)
                              : "",
                          answer.boolean("staged") ? ", staged already" : ""));
    return 0;
}

int upgrade(const Arguments& arguments) {
    const std::string text = call_with_progress(arguments, "Upgrade");
    if (arguments.as_json) {
        print(text);
        return 0;
    }
    const base::json::value document = base::parse_json(text, "answer");
    const base::JsonObject answer(document, "answer");
    const Release release = release_from_json(answer.object("release"));
    if (const std::string waits = answer.string("waits"); !waits.empty())
        print(waits);
    else if (!answer.boolean("newer"))
        print(fmt::format("up to date: {} is booted", release.version));
    else if (arguments.reboot)
        print(fmt::format("{} is staged, rebooting", release.version));
    else
        print(fmt::format("{} is staged; it is installed at the next reboot", release.version));
    return 0;
}

int rollback(const Arguments& arguments) {
    const std::string text = call_with_progress(arguments, "Rollback");
    if (arguments.as_json) {
        print(text);
        return 0;
    }
    const base::json::value document = base::parse_json(text, "answer");
    const base::JsonObject answer(document, "answer");
    const Release release = release_from_json(answer.object("release"));
    if (answer.boolean("dropped_staged"))
        print("the staged update was dropped");
    if (answer.boolean("reverted"))
        print(fmt::format("{} stays the deployment to boot", release.version));
    else
        print(fmt::format("{} boots next{}", release.version, arguments.reboot ? ", rebooting" : ""));
    return 0;
}

int mark_good(const Arguments& arguments) {
    BusClient client(arguments.socket);
    const std::string text = client.call("MarkGood");
    if (arguments.as_json) {
        print(text);
        return 0;
    }
    const base::json::value document = base::parse_json(text, "answer");
    const base::JsonObject answer(document, "answer");
    print(fmt::format("{} {}", release_from_json(answer.object("release")).describe(),
                      answer.boolean("was_good") ? "was good already" : "is good"));
    return 0;
}

int run(int argc, char** argv) {
    CLI::App app{"Updates of this machine: look, fetch, go back"};
    Arguments arguments;
    int (*command)(const Arguments&) = nullptr;
    app.set_version_flag("--version", base::version());
    app.add_option("--socket", arguments.socket, "updaterd's socket")->capture_default_str();
    app.require_subcommand(1);
    auto add = [&](const char* name, const char* text, int (*function)(const Arguments&)) {
        CLI::App* sub = app.add_subcommand(name, text);
        sub->callback([&command, function] { command = function; });
        sub->add_flag("--json", arguments.as_json, "print updaterd's answer");
        return sub;
    };
    add("status", "what runs, what is staged, and why the last failure happened", status);
    CLI::App* checking = add("check", "ask the repository for an update", check);
    CLI::App* upgrading = add("upgrade", "fetch and check an update; it is installed at the next reboot", upgrade);
    CLI::App* rolling = add("rollback", "boot the deployment before next time, or take that back", rollback);
    add("mark-good", "find the booted release good by hand", mark_good);
    add("history", "what happened", history);
    for (CLI::App* sub : {upgrading, rolling})
        sub->add_flag("--reboot", arguments.reboot, "reboot when done");
    for (CLI::App* sub : {checking, upgrading, rolling})
        sub->add_flag("--force", arguments.force, "also a release that failed on this host before");
    for (CLI::App* sub : {checking, upgrading})
        sub->add_flag("--allow-downgrade", arguments.allow_downgrade, "also a release older than the booted one");
    for (CLI::App* sub : {checking, upgrading})
        sub->add_flag("--ignore-rollout", arguments.ignore_rollout, "also a release whose rollout has not come here");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    return command(arguments);
}

} // namespace

int main(int argc, char** argv) {
    return base::run_main("updatectl", [&] { return run(argc, argv); });
}
