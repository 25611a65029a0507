// While an update is fetched, staged, or waits for its reboot, the workload checks are run, and what passed is
// remembered: only those checks can condemn the release that boots next.
#include <ctime>

#include "base/error.hpp"
#include "base/log.hpp"
#include "daemon.hpp"
#include "record_json.hpp"

namespace updater {

namespace {

constexpr const char* interval_ms = "20000";
constexpr std::chrono::minutes restart_pause{1};
// The record is a durable write: not for every round that came out as the one before.
constexpr std::int64_t save_after = 120;

} // namespace

/// Called at every change of state.
void Daemon::follow_baseline() {
    if (judge_)
        return; // the checks are the trial's now
    const bool wanted = is_busy(record_.state) || record_.state == State::staged || record_.state == State::rebooting;
    if (wanted && !checks_job_ && !checks_retry_)
        start_baseline();
    if (!wanted) {
        checks_retry_.reset();
        if (checks_job_)
            checks_job_->stop();
    }
}

void Daemon::start_baseline() {
    try {
        if (base::HostConfig::load(paths_.host_yaml).health.empty())
            return;
        checks_job_ = std::make_unique<WorkerJob>(
            loop_, WorkerJob::Options{.argv = worker({"watch-checks", "--interval-ms", interval_ms}),
                                      .on_line = [this](const base::json::object& line) { on_baseline(line); },
                                      .on_end =
                                          [this](const WorkerResult& result) {
                                              checks_job_.reset();
                                              base::log_info("workload checks ended: {}", result.error);
                                              checks_retry_ = loop_.after(restart_pause, [this] {
                                                  checks_retry_.reset();
                                                  follow_baseline();
                                              });
                                          },
                                      .silence = std::chrono::hours(2)});
    } catch (const base::Error& error) {
        // Then no check can condemn the next release; the update itself does not depend on it.
        base::log_error("{}", base::error_chain(error));
    }
}

void Daemon::on_baseline(const base::json::object& line) {
    const base::json::value document(line);
    std::vector<CheckResult> round;
    for (const base::json::value& item : base::JsonObject(document, "workload checks").array("checks"))
        round.push_back(check_from_json(base::JsonObject(item, "workload check")));
    Baseline next = record_.baseline.value_or(Baseline{});
    next.add(booted_.revision, round, std::time(nullptr));
    const bool same_names = record_.baseline && next.revision == record_.baseline->revision &&
                            next.passed.size() == record_.baseline->passed.size();
    const bool write = !same_names || next.time - record_.baseline->time >= save_after;
    if (!write)
        return;
    record_.baseline = std::move(next);
    save();
}

} // namespace updater
