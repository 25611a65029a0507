// Judging the booted revision while it is on trial.
#include <ctime>

#include "base/error.hpp"
#include "base/fault_point.hpp"
#include "base/files.hpp"
#include "base/grub_env.hpp"
#include "base/log.hpp"
#include "daemon.hpp"
#include "record_json.hpp"
#include "updater/boot_text.hpp"

namespace updater {

namespace {

// init waits so much longer than we do: its last word knows less of the reason.
constexpr std::chrono::seconds before_init{60};
constexpr const char* checks_interval_ms = "3000";
constexpr unsigned log_lines = 20;

base::HostConfig host_config(const std::string& path) {
    try {
        return base::HostConfig::load(path);
    } catch (const base::Error& error) {
        // A mistake in the host's configuration is no fault of the release: judge with the defaults.
        base::log_error("{}", error.what());
        return {};
    }
}

} // namespace

void Daemon::start_judging() {
    const base::HostConfig host = host_config(paths_.host_yaml);
    Judge::Options options;
    options.settle = std::chrono::seconds(host.update.settle_seconds);
    // Counted from when updaterd came up first in this boot, so that its own restarts do not prolong the trial, and one
    // that begins late (grubenv was damaged on a machine that had been up for days) is not over at once.
    const Judge::Time started(record_.trial ? record_.trial->started_ms : boot_time().count());
    options.deadline = started + std::chrono::seconds(host.update.trial_seconds);
    for (const base::HealthCheck& check : host.health) {
        if (record_.baseline && record_.baseline->blames(check, booted_.revision))
            options.blaming_checks.insert(check.name);
        else
            base::log_info("workload check {} did not pass shortly before the reboot: it does not count", check.name);
    }
    tell_init_trial(std::chrono::duration_cast<std::chrono::seconds>(options.deadline + options.settle) + before_init);
    judge_.emplace(options);
    const Judge::Time left = std::max(options.deadline - boot_time(), Judge::Time(0));
    // Reports carry the clock as well; this is for the case that none comes.
    deadline_ = loop_.after(left + options.settle + std::chrono::seconds(1), [this] {
        if (judge_ && !judge_->healthy_since())
            on_verdict(judge_->expired(boot_time()));
    });
    watch_health();
    if (!judge_->options().blaming_checks.empty())
        watch_workload();
}

void Daemon::watch_workload() {
    auto on_line = [this](const base::json::object& line) {
        const base::json::value document(line);
        std::vector<CheckResult> round;
        for (const base::json::value& item : base::JsonObject(document, "workload checks").array("checks"))
            round.push_back(check_from_json(base::JsonObject(item, "workload check")));
        if (judge_)
            on_verdict(judge_->observe_checks(round, boot_time()));
    };
    auto on_end = [this](const WorkerResult& result) {
        checks_job_.reset();
        if (!judge_)
            return follow_baseline();
        base::log_warning("the workload checks ended: {}", result.error);
        checks_retry_ = loop_.after(std::chrono::seconds(2), [this] {
            checks_retry_.reset();
            if (judge_)
                watch_workload();
        });
    };
    checks_job_ = std::make_unique<WorkerJob>(
        loop_, WorkerJob::Options{.argv = worker({"watch-checks", "--interval-ms", checks_interval_ms}),
                                  .on_line = on_line,
                                  .on_end = on_end,
                                  .silence = std::chrono::hours(2)});
}

void Daemon::stop_judging() {
    judge_.reset();
    if (health_job_)
        health_job_->stop();
    if (checks_job_)
        checks_job_->stop();
}

void Daemon::watch_health() {
    auto on_line = [this](const base::json::object& line) {
        const base::json::value* unreachable = line.if_contains("unreachable");
        if (unreachable != nullptr && unreachable->is_string())
            on_health(HealthReport::unreachable(std::string(unreachable->get_string())));
        else if (const auto* health = line.if_contains("health"))
            on_health(HealthReport::parse(base::json::serialize(*health), "engined's health"));
    };
    auto on_end = [this](const WorkerResult& result) {
        health_job_.reset();
        if (!judge_)
            return;
        base::log_warning("watching the health of the services ended: {}", result.error);
        retry_ = loop_.after(std::chrono::seconds(2), [this] { watch_health(); });
    };
    health_job_ = std::make_unique<WorkerJob>(
        loop_, WorkerJob::Options{.argv = worker({"watch-health"}), .on_line = on_line, .on_end = on_end});
}

void Daemon::on_health(const HealthReport& report) {
    if (judge_)
        on_verdict(judge_->observe(report, boot_time()));
}

void Daemon::on_verdict(Judge::Verdict verdict) {
    if (verdict == Judge::Verdict::good) {
        const std::chrono::seconds settle = std::chrono::duration_cast<std::chrono::seconds>(judge_->options().settle);
        write_ok();
        history_.add("good", booted_, fmt::format("everything required was healthy for {} s", settle.count()));
    } else if (verdict == Judge::Verdict::bad && !given_up_) {
        given_up_ = true;
        give_up();
    }
}

void Daemon::give_up() {
    Judge::Failure failure = judge_->failure().value_or(Judge::Failure{"engined answers", "no report came", {}, {}});
    base::log_error("{} is given up: {}: {}", booted_.describe(), failure.check, failure.detail);
    if (!has_fallback_) {
        // Nothing to go back to: another boot of the same is no better than waiting for this one.
        fail(fmt::format("not healthy within its trial ({}: {}), and there is no other deployment", failure.check,
                         failure.detail));
        history_.add("not good", booted_, record_.last_error);
        return;
    }
    stop_judging(); // what happens while the machine goes down is no news
    if (failure.service.empty() && failure.container.empty()) {
        std::vector<std::string> log = std::move(failure.log);
        write_receipt(std::move(failure), std::move(log));
        return;
    }
    const std::vector<std::string> argv =
        worker({"logs", failure.service.empty() ? "--container" : "--service",
                failure.service.empty() ? failure.container : failure.service, "--lines", std::to_string(log_lines)});
    log_job_ = std::make_unique<WorkerJob>(
        loop_, WorkerJob::Options{.argv = argv,
                                  .on_end =
                                      [this, failure](const WorkerResult& result) {
                                          log_job_.reset();
                                          const base::json::value document(result.result);
                                          std::vector<std::string> log =
                                              result.ok ? base::JsonObject(document, "log").strings("lines")
                                                        : std::vector<std::string>{"no log: " + result.error};
                                          write_receipt(failure, std::move(log));
                                      },
                                  .silence = std::chrono::seconds(15)});
}

void Daemon::write_receipt(Judge::Failure failure, std::vector<std::string> log) {
    Receipt receipt;
    receipt.release = booted_;
    receipt.found_by = "updaterd";
    receipt.check = failure.check;
    receipt.detail = failure.detail;
    receipt.revision_only = has_good_sibling(deployments_, booted_, grub_ok_);
    receipt.log = std::move(log);
    receipt.boots = record_.trial ? record_.trial->boots : 1;
    receipt.time = std::time(nullptr);
    record_.add_receipt(receipt);
    base::fault_point("judged_bad");
    save();
    base::fault_point("receipt_saved");
    history_.add("given up", booted_, failure.check + ": " + failure.detail, receipt.log);
    // A verdict is final: another boot of the same revision would only take another trial's time. GRUB falls back at
    // once.
    try {
        base::GrubEnv env = base::GrubEnv::load(paths_.grub_env);
        env.set("trial", booted_.revision);
        env.set("tries", "0");
        env.store_in_place(paths_.grub_env);
    } catch (const base::Error& error) {
        base::log_error("{}", error.what());
    }
    base::fault_point("tries_taken");
    try {
        ask_reboot(fmt::format("revision {} failed its trial: {}", booted_.revision, plain_text(failure.check, 100)));
    } catch (const base::Error& error) {
        // init gives the revision up by itself when its own deadline comes.
        fail(error.what());
    }
}

} // namespace updater
