#include <CLI/CLI.hpp>

#include "base/command_line.hpp"
#include "commands.hpp"

namespace {

using updater::control::Arguments;
using Command = int (*)(const Arguments&);

class CommandLine {
public:
    CommandLine() {
        app_.set_version_flag("--version", base::version());
        app_.add_option("--socket", arguments_.socket, "updaterd's socket")->capture_default_str();
        app_.require_subcommand(1);
        app_.footer("Exit codes: 0 done, 1 failed (one line says why), 2 wrong usage.\n"
                    "A DEPLOYMENT is booted, rollback, its place in `status` from 0, a version, or the beginning of a\n"
                    "revision or commit.");
        add_updates();
        add_deployments();
        add_boot_loader();
        add_reading();
    }

    int run(int argc, char** argv) {
        try {
            app_.parse(argc, argv);
        } catch (const CLI::ParseError& error) {
            return base::end_of_parse(app_, error);
        }
        return command_(arguments_);
    }

private:
    CLI::App* add(const char* name, const char* text, Command command) { return add(app_, name, text, command); }
    CLI::App* add(CLI::App& parent, const char* name, const char* text, Command command) {
        CLI::App* sub = parent.add_subcommand(name, text);
        sub->callback([this, command] { command_ = command; });
        sub->add_flag("--json", arguments_.as_json, "print updaterd's answer as JSON");
        return sub;
    }

    void add_updates() {
        namespace control = updater::control;
        CLI::App* checking = add("check", "ask the repository for an update", control::check);
        CLI::App* upgrading =
            add("upgrade", "fetch and check an update; it is installed at the next reboot", control::upgrade);
        CLI::App* rebasing = add("rebase", "go to another stream, and follow it from then on", control::rebase);
        rebasing->add_option("STREAM", arguments_.name, "such as atoll/x86_64/testing")->required();
        CLI::App* deploying = add("deploy", "install a certain release at the next reboot", control::deploy);
        deploying
            ->add_option(
                "RELEASE", arguments_.name,
                "version of a deployment or of what the stream offers or offered before, or commit (64 digits)")
            ->required();
        CLI::App* rolling =
            add("rollback", "boot the deployment before next time, or take that back", control::rollback);
        for (CLI::App* sub : {upgrading, rebasing, deploying, rolling})
            sub->add_flag("--reboot", arguments_.reboot, "reboot when done");
        for (CLI::App* sub : {upgrading, rebasing, deploying})
            sub->add_flag("--stage", arguments_.stage, "only stage it, do not reboot (the default)")
                ->excludes(sub->get_option("--reboot"));
        for (CLI::App* sub : {checking, upgrading, rebasing, deploying, rolling})
            sub->add_flag("--force", arguments_.force, "also a release that failed on this host before");
        for (CLI::App* sub : {checking, upgrading, rebasing, deploying})
            sub->add_flag("--allow-downgrade", arguments_.allow_downgrade, "also a release older than the booted one");
        for (CLI::App* sub : {checking, upgrading, rebasing})
            sub->add_flag("--ignore-rollout", arguments_.ignore_rollout,
                          "also a release that is not yet for this host");
    }

    void add_deployments() {
        namespace control = updater::control;
        add("pin", "keep a deployment whatever updates come", control::pin)
            ->add_option("DEPLOYMENT", arguments_.name, "see below")
            ->required();
        add("unpin", "let a deployment go when updates come", control::unpin)
            ->add_option("DEPLOYMENT", arguments_.name, "see below")
            ->required();
        CLI::App* kargs = add("kargs", "kernel arguments of this host: show, or change by a new deployment",
                              control::kernel_arguments);
        kargs->add_option("--append", arguments_.append, "NAME or NAME=VALUE")->allow_extra_args(false);
        kargs->add_option("--delete", arguments_.remove, "NAME, or NAME=VALUE when there are several")
            ->allow_extra_args(false);
        kargs->add_option("--replace", arguments_.replace, "NAME=VALUE, or NAME=OLD=NEW when there are several")
            ->allow_extra_args(false);
        CLI::App* cleaning = add("cleanup", "remove old deployments, pinned ones excepted", control::cleanup);
        cleaning->add_option("--keep", arguments_.keep, "how many deployments stay; default: update.keep of host.yaml")
            ->check(CLI::Range(1, 100));
        cleaning->add_flag("--staged", arguments_.staged, "drop what is staged instead");
        CLI::App* resetting = add(
            "reset", "factory reset: /etc, /var and kernel arguments as the booted image ships them", control::reset);
        resetting->add_flag("--yes", arguments_.yes, "do not ask");
        for (CLI::App* sub : {kargs, resetting})
            sub->add_flag("--reboot", arguments_.reboot, "reboot when done");
        add("mark-good", "find the booted release good by hand", control::mark_good);
    }

    void add_boot_loader() {
        namespace control = updater::control;
        CLI::App* group = app_.add_subcommand("bootloader", "GRUB itself: what is on the disk, and putting the booted "
                                                            "image's there");
        group->require_subcommand(1);
        add(*group, "status", "which GRUB is on the disk, and which one the booted image carries",
            control::boot_loader_status);
        add(*group, "update", "put the booted image's GRUB on the disk, for BIOS and UEFI; nothing to do is no error",
            control::boot_loader_update)
            ->add_flag("--allow-downgrade", arguments_.allow_downgrade, "also one older than what is on the disk");
    }

    void add_reading() {
        namespace control = updater::control;
        add("status", "what runs, what is staged, and why the last failure happened", control::status);
        add("history", "what happened", control::history);
        CLI::App* comparing = add("diff", "packages and files of two releases", control::diff);
        comparing->add_option("FROM", arguments_.name, "a DEPLOYMENT or `staged`; default: booted");
        comparing->add_option("TO", arguments_.second, "the same; default: staged, or rollback");
        add("etc-diff", "what was changed in /etc here and in the staged release, and where that meets",
            control::etc_diff);
    }

    CLI::App app_{"Updates of this machine: look, fetch, go back"};
    Arguments arguments_;
    Command command_ = nullptr;
};

} // namespace

int main(int argc, char** argv) {
    return base::run_main("updatectl", [&] { return CommandLine().run(argc, argv); });
}
