#include <cstdio>

#include "base/json.hpp"
#include "commands.hpp"
#include "progress_bar.hpp"
#include "record_json.hpp"

namespace updater::control {

namespace {

std::string megabytes(std::int64_t bytes) {
    return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

/// What a staged release comes to.
int print_staged(const Arguments& arguments, const std::string& text) {
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

} // namespace

void print(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    if (text.empty() || text.back() != '\n')
        std::fputs("\n", stdout);
}

std::string call_with_progress(const Arguments& arguments, const std::string& method,
                               const std::vector<std::string>& words, BusClient::Options options) {
    BusClient client(arguments.socket);
    ProgressBar bar;
    client.on_state = [&](const std::string& state) {
        bar.stage(state);
    };
    client.on_progress = [&](std::uint64_t bytes, std::uint64_t total_bytes, std::uint64_t objects,
                             std::uint64_t total) {
        bar.show(bytes, total_bytes, objects, total);
    };
    options.flags.insert({{"reboot", arguments.reboot},
                          {"force", arguments.force},
                          {"allow-downgrade", arguments.allow_downgrade},
                          {"ignore-rollout", arguments.ignore_rollout}});
    return client.call(method, words, options);
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
                          answer.integer("bytes") > 0 ? ", " + megabytes(answer.integer("bytes")) + " to fetch" : "",
                          answer.boolean("staged") ? ", staged already" : ""));
    return 0;
}

int upgrade(const Arguments& arguments) {
    return print_staged(arguments, call_with_progress(arguments, "Upgrade"));
}

int rebase(const Arguments& arguments) {
    return print_staged(arguments, call_with_progress(arguments, "Rebase", {arguments.name}));
}

int deploy(const Arguments& arguments) {
    return print_staged(arguments, call_with_progress(arguments, "Deploy", {arguments.name}));
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
    if (answer.boolean("reverted")) {
        print(fmt::format("{} stays the deployment to boot", release.version));
        return 0;
    }
    print(fmt::format("{} boots next{}, with /etc as it was left there", release.version,
                      arguments.reboot ? ", rebooting" : ""));
    const std::vector<std::string> edits = answer.strings("etc_edits_left_behind");
    if (!edits.empty())
        print(fmt::format("edited since and not in it ({}):", edits.size()));
    constexpr std::size_t shown = 20;
    for (std::size_t index = 0; index < std::min(edits.size(), shown); ++index)
        print("  /etc/" + edits[index]);
    if (edits.size() > shown)
        print(fmt::format("  and {} more: --json names them", edits.size() - shown));
    return 0;
}

} // namespace updater::control
