#include <CLI/CLI.hpp>

#include "../ostree/image_diff.hpp"
#include "base/error.hpp"
#include "etc_json.hpp"
#include "jobs.hpp"

namespace updater {

namespace json = base::json;

namespace {

constexpr std::size_t max_listed = 5000;

json::array changes_to_json(const std::vector<EtcChange>& changes) {
    json::array array;
    for (std::size_t index = 0; index < std::min(changes.size(), max_listed); ++index)
        array.push_back(json::object{{"path", changes[index].path}, {"change", changes[index].change}});
    return array;
}

struct Arguments {
    std::string from;
    std::string to;
};

} // namespace

json::array limited(const std::vector<std::string>& list) {
    json::array array;
    for (std::size_t index = 0; index < std::min(list.size(), max_listed); ++index)
        array.emplace_back(list[index]);
    return array;
}

json::object to_json(const EtcReport& report) {
    return {{"here", changes_to_json(report.here)},
            {"there", changes_to_json(report.there)},
            {"conflicts", limited(report.conflicts)},
            {"accounts", limited(report.accounts)},
            {"blocked", limited(report.blocked)},
            {"cut", report.here.size() > max_listed || report.there.size() > max_listed}};
}

void add_reading_jobs(CLI::App& app, WorkerCall& call) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* comparing = app.add_subcommand("diff", "packages and files of two commits that are here");
    comparing->add_option("--from", arguments->from, "commit")->required();
    comparing->add_option("--to", arguments->to, "commit")->required();
    comparing->callback([&call, arguments] {
        call.job = [&call, arguments](const Paths& paths) {
            Sysroot sysroot = open_sysroot(call, paths);
            return diff_images(sysroot.repository(), arguments->from, arguments->to, max_listed);
        };
    });
    CLI::App* etc = app.add_subcommand("etc-diff", "what was changed in /etc here and in a commit");
    etc->add_option("--to", arguments->to, "commit that is here; without: only what was changed here");
    etc->callback([&call, arguments] {
        call.job = [&call, arguments](const Paths& paths) {
            return to_json(open_sysroot(call, paths).etc_report(arguments->to));
        };
    });
    app.add_subcommand("kernel-arguments", "of the booted deployment")->callback([&call] {
        call.job = [&call](const Paths& paths) {
            return json::object{{"arguments", limited(open_sysroot(call, paths).kernel_arguments())}};
        };
    });
}

} // namespace updater
