// Decides whether a revision on trial is good: everything required healthy, without a restart, for the settle time,
// and the workload checks that passed before the update pass again; bad when that has not come by the deadline. Pure:
// fed with reports and a clock.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "updater/workload.hpp"

namespace updater {

struct ServiceHealth {
    std::string name;
    bool required = false;
    std::string state;  ///< "running" is what we want
    std::string health; ///< "healthy", or "none" and empty when the service has no health command
    std::int64_t restarts = 0;
    std::string detail;
};

/// One answer of engined's /atoll/v1/health.
struct HealthReport {
    bool reachable = false;
    std::string error; ///< why not, when not reachable
    std::vector<ServiceHealth> services;

    /// Throws base::Error when `text` is not such an answer.
    static HealthReport parse(std::string_view text, const std::string& name);
    static HealthReport unreachable(std::string why);
};

class Judge {
public:
    using Time = std::chrono::milliseconds; ///< since the kernel started

    enum class Verdict { undecided, good, bad };

    struct Options {
        Time settle{30'000};
        Time deadline{600'000};
        /// The service we run as: it counts as healthy, since its health would wait for our verdict.
        std::string own_service = "updater";
        /// Names of the workload checks whose failure is held against the revision (Baseline::blames).
        std::set<std::string> blaming_checks;
    };

    /// What stood in the way at the last report.
    struct Failure {
        std::string check;
        std::string detail;
        /// Whose last log lines explain it: a system service, or a container; both empty when engined does not answer.
        std::string service;
        std::string container;
        std::vector<std::string> log = {}; ///< of a check that has its own
    };

    explicit Judge(Options options) : options_(std::move(options)) {}

    Verdict observe(const HealthReport& report, Time now);
    /// A round of workload checks. Until the first one nothing is known of those that count, and nothing is good.
    Verdict observe_checks(const std::vector<CheckResult>& round, Time now);
    /// The deadline also counts when no report comes.
    Verdict expired(Time now) const noexcept { return now >= options_.deadline ? Verdict::bad : Verdict::undecided; }

    const std::optional<Failure>& failure() const noexcept { return failure_; }
    /// Since when everything has been healthy.
    std::optional<Time> healthy_since() const noexcept { return healthy_since_; }
    const Options& options() const noexcept { return options_; }

private:
    std::optional<Failure> find_failure(const HealthReport& report);
    std::optional<Failure> find_workload_failure() const;
    Verdict decide(std::optional<Failure> failure, Time now);

    Options options_;
    std::optional<std::vector<CheckResult>> checks_; ///< the last round
    std::optional<Time> healthy_since_;
    std::optional<Failure> failure_;
    std::map<std::string, std::int64_t> restarts_;
};

} // namespace updater
