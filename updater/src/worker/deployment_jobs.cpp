#include <CLI/CLI.hpp>

#include "base/error.hpp"
#include "base/fault_point.hpp"
#include "base/files.hpp"
#include "etc_json.hpp"
#include "factory_var.hpp"
#include "jobs.hpp"

namespace updater {

namespace json = base::json;

namespace {

struct Arguments {
    DeployRequest deploy;
    std::vector<std::string> changes; ///< "append:NAME=VALUE"
    bool pinned = false;
};

std::vector<ArgumentChange> parse_changes(const std::vector<std::string>& texts) {
    std::vector<ArgumentChange> changes;
    for (const std::string& text : texts) {
        const std::size_t colon = text.find(':');
        const auto kind = argument_change_kind(text.substr(0, colon));
        if (colon == std::string::npos || !kind)
            throw base::Error("--argument " + text + ": expected append:, delete: or replace:");
        changes.push_back({*kind, text.substr(colon + 1)});
        require_valid_change(changes.back());
    }
    return changes;
}

json::object deploy(const WorkerCall& call, Arguments& arguments, const Paths& paths) {
    arguments.deploy.arguments = parse_changes(arguments.changes);
    DeployReport report;
    {
        Sysroot sysroot = open_sysroot(call, paths);
        report = sysroot.deploy(arguments.deploy);
    }
    base::fault_point("deployed");
    // What is on disk now, not what the object that wrote it remembers.
    Sysroot sysroot = open_sysroot(call, paths);
    sysroot.drop_staged();
    base::fault_point("protection_dropped");
    // The ref the image was made with would keep the first release's content for ever.
    sysroot.follow(arguments.deploy.ref, arguments.deploy.commit);
    base::fault_point("ref_followed");
    sysroot.cleanup();
    return {{"revision", arguments.deploy.revision},
            {"etc", to_json(report.etc)},
            {"argument_conflicts", json::array(report.argument_conflicts.begin(), report.argument_conflicts.end())}};
}

json::object put_first(const WorkerCall& call, const Arguments& arguments, const Paths& paths) {
    const std::vector<std::string> edits = open_sysroot(call, paths).edits_missing_in(arguments.deploy.revision);
    open_sysroot(call, paths).put_first(arguments.deploy.revision);
    base::fault_point("first");
    open_sysroot(call, paths).cleanup();
    return {{"revision", arguments.deploy.revision}, {"etc_edits_left_behind", limited(edits)}};
}

json::object drop_staged(const WorkerCall& call, const Paths& paths) {
    Sysroot sysroot = open_sysroot(call, paths);
    sysroot.drop_staged();
    base::fault_point("protection_dropped");
    sysroot.cleanup();
    return {};
}

json::object prune(const WorkerCall& call, const Arguments& arguments, const Paths& paths) {
    const std::vector<std::string> removed =
        open_sysroot(call, paths).keep_only(arguments.deploy.keep, arguments.deploy.keep_count);
    base::fault_point("entries_removed");
    open_sysroot(call, paths).cleanup();
    return {{"removed", json::array(removed.begin(), removed.end())}};
}

} // namespace

Sysroot open_sysroot(const WorkerCall& call, const Paths& paths) {
    const std::string booted = kernel_argument(base::read_file(paths.command_line, 64 * 1024), "atoll.rev");
    return Sysroot::open(paths, booted, call.own_namespace, std::chrono::seconds(call.lock_wait));
}

void add_deployment_jobs(CLI::App& app, WorkerCall& call) {
    const auto arguments = std::make_shared<Arguments>();
    const auto add = [&](const char* name, const char* text, auto function) {
        return app.add_subcommand(name, text)->callback([&call, arguments, function] {
            call.job = [&call, arguments, function](const Paths& paths) {
                return function(call, *arguments, paths);
            };
        });
    };
    const auto revision = [&](CLI::App* job) {
        job->add_option("--revision", arguments->deploy.revision, "its atoll.rev")->required();
    };
    const auto commit = [&](CLI::App* job) {
        job->add_option("--commit", arguments->deploy.commit, "64 hexadecimal digits")->required();
    };
    const auto keep = [&](CLI::App* job) {
        job->add_option("--keep", arguments->deploy.keep, "a revision to keep")->allow_extra_args(false);
        job->add_option("--keep-count", arguments->deploy.keep_count, "deployments in all");
    };
    CLI::App* deploying = add("deploy", "make a commit the newest deployment", deploy);
    commit(deploying);
    revision(deploying);
    keep(deploying);
    deploying->add_option("--ref", arguments->deploy.ref, "stream, for the origin file")->required();
    revision(add("put-first", "make a deployment the first to boot", put_first));
    add("drop-staged", "let the staged commit be cleaned up",
        [](const WorkerCall& made, Arguments&, const Paths& paths) { return drop_staged(made, paths); });
    const auto changes = [&](CLI::App* job) {
        job->add_option("--argument", arguments->changes, "append:, delete: or replace: and a kernel argument")
            ->allow_extra_args(false);
        job->add_flag("--factory", arguments->deploy.factory, "/etc, /var and kernel arguments as shipped");
    };
    changes(deploying);
    CLI::App* staging = add("stage-local", "protect a commit that is here, to be deployed with these changes",
                            [](const WorkerCall& made, Arguments& given, const Paths& paths) {
                                given.deploy.arguments = parse_changes(given.changes);
                                return json::object{{"version", open_sysroot(made, paths).stage_local(given.deploy)}};
                            });
    commit(staging);
    changes(staging);
    CLI::App* pinning = add("pin", "keep a deployment until it is unpinned",
                            [](const WorkerCall& made, Arguments& given, const Paths& paths) {
                                open_sysroot(made, paths).set_pinned(given.deploy.revision, given.pinned);
                                return json::object{};
                            });
    revision(pinning);
    pinning->add_flag("--on,!--off", arguments->pinned, "pin, or unpin")->required();
    keep(add("prune", "remove old deployments", prune));
    add("drop-old-var", "remove what a factory reset replaced", [](const WorkerCall&, Arguments&, const Paths& paths) {
        return json::object{{"removed", remove_retired_var(stateroot_directory(paths))}};
    });
}

} // namespace updater
