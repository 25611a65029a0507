#include <cstdio>
#include <unistd.h>

#include <iostream>

#include "base/error.hpp"
#include "base/json.hpp"
#include "commands.hpp"
#include "record_json.hpp"

namespace updater::control {

namespace {

int set_pinned(const Arguments& arguments, bool pinned) {
    const std::string text = BusClient(arguments.socket).call(pinned ? "Pin" : "Unpin", {arguments.name});
    if (arguments.as_json) {
        print(text);
        return 0;
    }
    const base::json::value document = base::parse_json(text, "answer");
    const Release release = release_from_json(base::JsonObject(document, "answer").object("release"));
    print(fmt::format("{} is {}", release.describe(), pinned ? "pinned: no update removes it" : "no longer pinned"));
    return 0;
}

void print_changes(const base::JsonObject& staged) {
    for (const base::json::value& item : staged.array("arguments")) {
        const base::JsonObject change(item, "answer");
        print(fmt::format("  {} {}", change.string("change"), change.string("argument")));
    }
}

void confirm(const Arguments& arguments, const char* what) {
    if (arguments.yes)
        return;
    if (::isatty(STDIN_FILENO) == 0)
        throw base::Error(std::string(what) + ": not done without --yes");
    fmt::print(stderr, "{} Type \"reset\" to go on: ", what);
    std::string line;
    if (!std::getline(std::cin, line) || line != "reset")
        throw base::Error("nothing was changed");
}

} // namespace

int mark_good(const Arguments& arguments) {
    const std::string text = BusClient(arguments.socket).call("MarkGood");
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

int pin(const Arguments& arguments) {
    return set_pinned(arguments, true);
}

int unpin(const Arguments& arguments) {
    return set_pinned(arguments, false);
}

int cleanup(const Arguments& arguments) {
    BusClient::Options options{.flags = {{"staged", arguments.staged}}, .numbers = {}, .lists = {}};
    if (arguments.keep > 0)
        options.numbers["keep"] = arguments.keep;
    const std::string text = BusClient(arguments.socket).call("Cleanup", {}, options);
    if (arguments.as_json) {
        print(text);
        return 0;
    }
    const base::json::value document = base::parse_json(text, "answer");
    const base::JsonObject answer(document, "answer");
    if (const auto dropped = answer.object("dropped"))
        print(fmt::format("the staged {} was dropped", release_from_json(dropped).version));
    else if (answer.strings("removed").empty())
        print("nothing to remove");
    for (const std::string& revision : answer.strings("removed"))
        print("removed revision " + revision);
    return 0;
}

int kernel_arguments(const Arguments& arguments) {
    const bool changes = !arguments.append.empty() || !arguments.remove.empty() || !arguments.replace.empty();
    BusClient client(arguments.socket);
    const std::string text = changes ? client.call("ChangeKernelArguments", {},
                                                   {.flags = {{"reboot", arguments.reboot}},
                                                    .numbers = {},
                                                    .lists = {{"append", arguments.append},
                                                              {"delete", arguments.remove},
                                                              {"replace", arguments.replace}}})
                                     : client.call("KernelArguments");
    if (arguments.as_json) {
        print(text);
        return 0;
    }
    const base::json::value document = base::parse_json(text, "answer");
    const base::JsonObject answer(document, "answer");
    if (changes) {
        print(fmt::format("staged: a deployment of its own {}",
                          arguments.reboot ? "follows, rebooting" : "at the next reboot"));
        print_changes(answer);
        return 0;
    }
    for (const std::string& argument : answer.strings("arguments"))
        print(argument);
    if (const auto staged = answer.object("staged"); staged && !staged->array("arguments").empty()) {
        print("at the next reboot:");
        print_changes(*staged);
    }
    return 0;
}

int reset(const Arguments& arguments) {
    confirm(arguments,
            "This puts /etc, /var and the kernel arguments back to what the image ships: all data, containers "
            "and settings of this host are lost at the next reboot.");
    const std::string text =
        BusClient(arguments.socket)
            .call("FactoryReset", {}, {.flags = {{"reboot", arguments.reboot}}, .numbers = {}, .lists = {}});
    print(arguments.as_json ? text
                            : fmt::format("the factory reset {}; until then `updatectl cleanup --staged` takes it back",
                                          arguments.reboot ? "begins, rebooting" : "is made at the next reboot"));
    return 0;
}

} // namespace updater::control
