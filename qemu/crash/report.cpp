#include "crash/report.hpp"

#include "base/error.hpp"
#include "base/json.hpp"

namespace crash {
namespace {

namespace json = base::json;

constexpr std::size_t shown_problems = 20;
constexpr std::size_t problem_length = 400;

std::uint64_t of(const JobReport& job, Kind kind) {
    const auto found = job.states.find(kind);
    return found == job.states.end() ? 0 : found->second;
}

std::string row(const JobReport& job) {
    return fmt::format("{:<40} {:>6} {:>7} {:>8} {:>9} {:>7} {:>8} {:>6} {:>8} {:>7}\n", job.name, job.writes,
                       job.flushes, of(job, Kind::boundary), of(job, Kind::reordered), of(job, Kind::torn),
                       job.distinct, job.mended, job.do_not_boot, job.damaged);
}

json::object to_json(const JobReport& job) {
    return {{"name", job.name},
            {"writes", job.writes},
            {"flushes", job.flushes},
            {"boundaries", of(job, Kind::boundary)},
            {"reordered", of(job, Kind::reordered)},
            {"torn", of(job, Kind::torn)},
            {"states", job.all()},
            {"distinct", job.distinct},
            {"mended", job.mended},
            {"do_not_boot", job.do_not_boot},
            {"damaged", job.damaged}};
}

json::object to_json(const ReplayReport& report) {
    json::array jobs;
    for (const JobReport& job : report.jobs)
        jobs.push_back(to_json(job));
    json::array problems;
    for (const Problem& problem : report.problems)
        problems.push_back(json::object{{"text", problem.text}, {"first", problem.first}, {"times", problem.times}});
    json::array boots;
    for (const BootReport& boot : report.boots)
        boots.push_back(json::object{{"state", boot.state},
                                     {"firmware", boot.firmware},
                                     {"expected", boot.expected},
                                     {"booted", boot.booted},
                                     {"problem", boot.problem},
                                     {"seconds", boot.seconds}});
    json::array lost_flushes;
    for (const LostFlushesReport& lost : report.lost_flushes)
        lost_flushes.push_back(json::object{{"job", lost.job},
                                            {"states", lost.states},
                                            {"bad", lost.bad},
                                            {"flushes", lost.flushes},
                                            {"flushes_needed", lost.flushes_needed}});
    return {{"name", report.name},
            {"total", to_json(report.total())},
            {"jobs", std::move(jobs)},
            {"problems", std::move(problems)},
            {"boots", std::move(boots)},
            {"do_not_boot_by_loader_alone", report.do_not_boot_by_loader_alone},
            {"e2fsck_runs", report.fsck_runs},
            {"bios_areas", report.bios_areas},
            {"esps", report.esps},
            {"damages_tried", report.damages_tried},
            {"recoveries_compared", report.recoveries_compared},
            {"repositories_checked", report.repositories_checked},
            {"lost_flushes", std::move(lost_flushes)},
            {"record_seconds", report.record_seconds},
            {"replay_seconds", report.replay_seconds},
            {"holds", report.holds()}};
}

} // namespace

std::uint64_t JobReport::all() const {
    std::uint64_t sum = 0;
    for (const auto& [kind, count] : states)
        sum += count;
    return sum;
}

void JobReport::add(const JobReport& other) {
    writes += other.writes;
    flushes += other.flushes;
    for (const auto& [kind, count] : other.states)
        states[kind] += count;
    distinct += other.distinct;
    mended += other.mended;
    do_not_boot += other.do_not_boot;
    damaged += other.damaged;
}

JobReport ReplayReport::total() const {
    JobReport sum{.name = "together"};
    for (const JobReport& job : jobs)
        sum.add(job);
    return sum;
}

void ReplayReport::add_problem(const std::string& text, const std::string& where) {
    const std::string cut = text.substr(0, problem_length);
    for (Problem& problem : problems)
        if (problem.text == cut) {
            ++problem.times;
            return;
        }
    problems.push_back({.text = cut, .first = where, .times = 1});
}

bool ReplayReport::holds() const {
    if (has_to_fail)
        return total().do_not_boot != 0;
    return problems.empty() &&
           std::all_of(lost_flushes.begin(), lost_flushes.end(),
                       [](const LostFlushesReport& lost) { return lost.bad != 0; }) &&
           std::all_of(boots.begin(), boots.end(), [](const BootReport& boot) { return boot.problem.empty(); });
}

std::string as_text(const BootReport& boot) {
    return fmt::format("{} {:<60} {:>5.0f} s  {}{}", boot.firmware, boot.state, boot.seconds,
                       boot.booted.empty() ? "does not boot" : "revision " + boot.booted,
                       boot.problem.empty() ? "" : "  PROBLEM: " + boot.problem);
}

std::string as_text(const ReplayReport& report) {
    std::string text = fmt::format("{}: recorded in {:.0f} s, replayed in {:.0f} s\n", report.name,
                                   report.record_seconds, report.replay_seconds);
    text += fmt::format("{:<40} {:>6} {:>7} {:>8} {:>9} {:>7} {:>8} {:>6} {:>8} {:>7}\n", "", "writes", "flushes",
                        "boundary", "reordered", "torn", "distinct", "mended", "no boot", "damaged");
    for (const JobReport& job : report.jobs)
        text += row(job);
    const JobReport total = report.total();
    text += row(total);
    text += fmt::format("{} states, with {} contents of the BIOS boot area and {} of the ESP; {} runs of e2fsck; {} "
                        "damages done on purpose to test the checker; {} journals "
                        "replayed by debugfs too; {} repositories checked by ostree fsck\n",
                        total.all(), report.bios_areas, report.esps, report.fsck_runs, report.damages_tried,
                        report.recoveries_compared, report.repositories_checked);
    if (report.do_not_boot_by_loader_alone != 0)
        text += fmt::format("by a grub.cfg that reads /loader/entries alone {} states would not boot\n",
                            report.do_not_boot_by_loader_alone);
    for (const LostFlushesReport& lost : report.lost_flushes) {
        text += fmt::format("{}, as if the disk obeyed no flush: {} of {} states bad{}\n", lost.job, lost.bad,
                            lost.states, lost.bad == 0 ? "  PROBLEM: the checker sees nothing" : "");
        if (lost.flushes != 0)
            text += fmt::format("{}, as if it lost one flush: {} of {} are missed\n", lost.job, lost.flushes_needed,
                                lost.flushes);
    }
    if (report.has_to_fail)
        text += fmt::format("this updater is wrong on purpose: {}\n",
                            report.holds() ? "found out" : "PROBLEM: the checker sees nothing");
    std::size_t shown = 0;
    for (const Problem& problem : report.problems) {
        if (shown++ == shown_problems) {
            text += fmt::format("and {} other problems\n", report.problems.size() - shown_problems);
            break;
        }
        text += fmt::format("  {} times, first in {}: {}\n", problem.times, problem.first, problem.text);
    }
    std::size_t bad = 0;
    for (const BootReport& boot : report.boots)
        bad += boot.problem.empty() ? 0U : 1U;
    if (!report.boots.empty())
        text += fmt::format("{} states really booted, {} not as the checker says\n", report.boots.size(), bad);
    for (const BootReport& boot : report.boots)
        text += "  " + as_text(boot) + "\n";
    return text;
}

std::string as_json(const Reports& reports) {
    const auto optional = [](const std::optional<ReplayReport>& report) {
        return report ? json::value(to_json(*report)) : json::value(nullptr);
    };
    return json::serialize(json::object{{"seed", reports.seed},
                                        {"reduced", reports.reduced},
                                        {"ours", to_json(reports.ours)},
                                        {"stock", optional(reports.stock)},
                                        {"hasty", optional(reports.hasty)},
                                        {"holds", reports.holds()}});
}

} // namespace crash
