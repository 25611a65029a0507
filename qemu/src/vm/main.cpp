#include <CLI/CLI.hpp>

#include "base/cli.hpp"
#include "base/log.hpp"
#include "up.hpp"

int main(int argc, char** argv) {
    base::log_init("atoll-vm");
    return base::run_main("atoll-vm", [&] {
        CLI::App app("A machine in QEMU to try Atoll in. qemu/up, qemu/down and qemu/sh are its front.");
        app.set_version_flag("--version", base::version());
        app.require_subcommand(1);
        qemu::Places places = qemu::Places::of_program();
        qemu::UpOptions options;
        bool checking = false;
        int code = 0;
        std::vector<std::string> words;

        auto* up = app.add_subcommand("up", "make the images, boot, and show what runs");
        up->add_flag("--check", checking, "no person: prove the main jobs, one line each, and end");
        up->add_flag("--bios", options.bios, "boot by BIOS instead of UEFI");
        up->add_flag("--keep", options.keep, "go on with the disk of the last time");
        up->callback([&] { code = checking ? qemu::check(places, options) : qemu::up(places, options); });
        auto* down = app.add_subcommand("down", "end a running `up`");
        down->callback([&] { code = qemu::down(places); });
        auto* sh = app.add_subcommand("sh", "run a command as root inside");
        sh->prefix_command();
        sh->callback([&] {
            std::string command;
            for (const std::string& word : sh->remaining())
                command += (command.empty() ? "" : " ") + word;
            code = qemu::shell(places, command);
        });
        auto* images = app.add_subcommand("images", "only make the images");
        images->add_option("release", words, "also releases of qemu/guest/NAME.yaml");
        images->callback([&] {
            qemu::Images all(places);
            all.make();
            for (const std::string& name : words)
                all.make_release(name);
        });
        try {
            app.parse(argc, argv);
        } catch (const CLI::ParseError& error) {
            return app.exit(error) == 0 ? 0 : 2;
        }
        return code;
    });
}
