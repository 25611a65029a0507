#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdio>

#include "base/cli.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "crash/replay.hpp"

namespace {

using namespace crash;

struct Options {
    bool reduced = false;
    bool stock = false;
    bool mutants = false;
    bool as_json = false;
    bool again = false;
    std::uint64_t seed = 1;
    std::optional<std::size_t> boots;
    unsigned machines = 0;
};

class Progress {
public:
    void say(const std::string& text) const {
        using Clock = std::chrono::steady_clock;
        // Standard output is the report's.
        fmt::print(stderr, "[{:6.1f} s] {}\n", std::chrono::duration<double>(Clock::now() - start_).count(), text);
    }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

struct Subject {
    Script script;
    std::string name;
    std::string directory;
};

ReplayOptions how_to_replay(const Options& options, const Subject& subject, const Progress& progress) {
    ReplayOptions how;
    how.thoroughness = options.reduced ? Thoroughness::reduced(options.seed) : Thoroughness{.seed = options.seed};
    how.boots = options.boots.value_or(options.reduced ? 8 : 40);
    how.comparisons = options.reduced ? 1 : 4;
    if (subject.script == Script::stock) {
        how.stock = true;
        how.dead_boots = how.boots == 0 ? 0 : 4;
        how.boots = std::min<std::size_t>(how.boots, 2);
    } else if (subject.script == Script::hasty) {
        how.has_to_fail = true;
        how.only_job = finalise_job;
        how.boots = how.comparisons = 0;
    } else {
        how.lost_flushes = options.mutants;
        how.each_lost_flush = options.mutants && !options.reduced;
    }
    how.on_job = [&progress, name = subject.name](const std::string& job, std::size_t number, std::size_t of) {
        progress.say(fmt::format("{}: replay {} ({} of {})", name, job, number, of));
    };
    how.on_boot = [&progress](const BootReport& boot) {
        progress.say(as_text(boot));
    };
    return how;
}

ReplayReport replay(qemu::Images& images, const Options& options, const Subject& subject, const Progress& progress) {
    const std::string directory = images.places().out + "/vm/" + subject.directory;
    double record_seconds = 0;
    if (!options.again || !std::filesystem::exists(directory + "/recording.json")) {
        progress.say(subject.name + ": record");
        const auto start = std::chrono::steady_clock::now();
        record(images, subject.script, directory);
        record_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
    Replay replay(Recording::load(directory), how_to_replay(options, subject, progress));
    ReplayReport report = replay.run();
    report.record_seconds = record_seconds;
    const JobReport total = report.total();
    progress.say(fmt::format("{}: {} of {} states do not boot, {} are damaged", subject.name, total.do_not_boot,
                             total.all(), total.damaged));
    progress.say(subject.name + ": boot what was chosen");
    replay.boot(images, report, options.machines);
    return report;
}

int run(const Options& options) {
    const Progress progress;
    qemu::Images images(qemu::Places::of_program());
    progress.say("make the images");
    images.make();
    Reports reports{.seed = options.seed, .reduced = options.reduced};
    const Script script = options.reduced ? Script::upgrade : Script::whole;
    reports.ours = replay(images, options, {script, "atoll", "crash"}, progress);
    if (options.mutants)
        reports.hasty = replay(images, options, {Script::hasty, "without flushes", "crash-hasty"}, progress);
    if (options.stock)
        reports.stock = replay(images, options, {Script::stock, "stock ostree", "crash-stock"}, progress);
    if (options.as_json) {
        fmt::print("{}\n", as_json(reports));
    } else {
        fmt::print("{}", as_text(reports.ours));
        for (const auto* more : {&reports.hasty, &reports.stock})
            if (*more)
                fmt::print("\n{}", as_text(**more));
        fmt::print("\n{}\n", reports.holds() ? "everything holds" : "IT DOES NOT HOLD");
    }
    return reports.holds() ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    base::log_init("crash-replay");
    return base::run_main("crash-replay", [&] {
        CLI::App app(
            "Records every disk write of an update in a machine, rebuilds every disk that a power cut can leave, "
            "and judges it. Exit code 1: some state does not boot or has lost something.");
        Options options;
        app.set_version_flag("--version", base::version());
        app.add_flag("--reduced", options.reduced, "fewer jobs, fewer states between flushes, 8 boots instead of 40");
        app.add_option("--seed", options.seed, "of what is chosen at random")->capture_default_str();
        app.add_option("--boots", options.boots, "states to boot really");
        app.add_flag("--stock", options.stock, "compare with `ostree admin deploy`");
        app.add_flag("--mutants", options.mutants,
                     "test the checker: an updater that never flushes /boot, and disks that lose flushes, have to be "
                     "found out");
        app.add_option("--machines", options.machines, "to boot at a time; 0: one a CPU, at most 4")
            ->capture_default_str();
        app.add_flag("--again", options.again, "replay the last recording where there is one");
        app.add_flag("--json", options.as_json, "print the report as JSON");
        try {
            app.parse(argc, argv);
        } catch (const CLI::ParseError& error) {
            return app.exit(error) == 0 ? 0 : 2;
        }
        return run(options);
    });
}
