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
    bool no_stock = false;
    bool as_json = false;
    bool again = false;
    std::uint64_t seed = 1;
    std::optional<std::size_t> boots;
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

ReplayReport replay(qemu::Images& images, const Options& options, bool stock, const Progress& progress) {
    const std::string directory = images.places().out + (stock ? "/vm/crash-stock" : "/vm/crash");
    const Script script = stock ? Script::stock : (options.reduced ? Script::upgrade : Script::whole);
    const std::string name = stock ? "stock ostree" : "atoll";
    double record_seconds = 0;
    if (!options.again || !std::filesystem::exists(directory + "/recording.json")) {
        progress.say(name + ": record");
        const auto start = std::chrono::steady_clock::now();
        record(images, script, directory);
        record_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
    ReplayOptions how;
    how.thoroughness = options.reduced ? Thoroughness::reduced(options.seed) : Thoroughness{.seed = options.seed};
    how.stock = stock;
    how.boots = options.boots.value_or(options.reduced ? 8 : 40);
    how.comparisons = options.reduced ? 1 : 4;
    if (stock) {
        how.dead_boots = how.boots == 0 ? 0 : 4;
        how.boots = std::min<std::size_t>(how.boots, 2);
    }
    how.on_job = [&](const std::string& job, std::size_t number, std::size_t of) {
        progress.say(fmt::format("{}: replay {} ({} of {})", name, job, number, of));
    };
    Replay replay(Recording::load(directory), how);
    ReplayReport report = replay.run();
    report.record_seconds = record_seconds;
    progress.say(name + ": boot what was chosen");
    replay.boot(images, report);
    return report;
}

int run(const Options& options) {
    const Progress progress;
    qemu::Images images(qemu::Places::of_program());
    progress.say("make the images");
    images.make();
    const ReplayReport ours = replay(images, options, false, progress);
    std::optional<ReplayReport> stock;
    if (options.stock)
        stock = replay(images, options, true, progress);
    if (options.as_json) {
        fmt::print("{}\n", as_json(options.seed, options.reduced, ours, stock ? &*stock : nullptr));
    } else {
        fmt::print("{}", as_text(ours));
        if (stock)
            fmt::print("\n{}", as_text(*stock));
        fmt::print("\n{}\n", ours.holds() ? "everything holds" : "IT DOES NOT HOLD");
    }
    return ours.holds() ? 0 : 1;
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
