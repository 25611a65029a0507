#include "updater/judge.hpp"

#include "base/error.hpp"
#include "base/json.hpp"

namespace updater {

HealthReport HealthReport::parse(std::string_view text, const std::string& name) {
    const base::json::value document = base::parse_json(text, name);
    const base::JsonObject root(document, name);
    if (!root.has("services"))
        throw base::Error(name + ": services: missing");
    HealthReport report;
    report.reachable = true;
    for (const base::json::value& item : root.array("services")) {
        const base::JsonObject object(item, name + ": services");
        report.services.push_back({object.required_string("name"), object.boolean("required"), object.string("state"),
                                   object.string("health"), object.integer("restarts"), object.string("detail")});
    }
    return report;
}

HealthReport HealthReport::unreachable(std::string why) {
    HealthReport report;
    report.error = std::move(why);
    return report;
}

std::optional<Judge::Failure> Judge::find_failure(const HealthReport& report) {
    if (!report.reachable)
        return Failure{"engined answers", report.error, {}, {}};
    std::optional<Failure> failure;
    const auto fails = [&failure](const ServiceHealth& service, const char* check, std::string detail) {
        if (!service.detail.empty())
            detail += ": " + service.detail;
        failure = Failure{fmt::format("service {} {}", service.name, check), std::move(detail), service.name, {}};
    };
    for (const ServiceHealth& service : report.services) {
        if (!service.required || service.name == options_.own_service)
            continue;
        const auto [seen, first] = restarts_.try_emplace(service.name, service.restarts);
        const bool restarted = !first && service.restarts != seen->second;
        seen->second = service.restarts;
        if (failure)
            continue;
        if (service.state != "running")
            fails(service, "runs", "state " + service.state);
        else if (!service.health.empty() && service.health != "healthy" && service.health != "none")
            fails(service, "is healthy", "health " + service.health);
        else if (restarted)
            failure = Failure{fmt::format("service {} keeps running", service.name),
                              fmt::format("restarted {} times", service.restarts),
                              service.name,
                              {}};
    }
    return failure;
}

std::optional<Judge::Failure> Judge::find_workload_failure() const {
    if (options_.blaming_checks.empty())
        return std::nullopt;
    if (!checks_)
        return Failure{"workload checks", "not run yet", {}, {}};
    for (const CheckResult& result : *checks_) {
        if (result.outcome == Outcome::failed && options_.blaming_checks.contains(result.name))
            return Failure{"workload " + result.name,
                           fmt::format("{}: {}", result.definition, result.detail),
                           {},
                           result.container,
                           result.log};
    }
    return std::nullopt;
}

Judge::Verdict Judge::decide(std::optional<Failure> failure, Time now) {
    if (failure) {
        failure_ = std::move(failure);
        healthy_since_.reset();
        return expired(now);
    }
    if (!healthy_since_)
        healthy_since_ = now;
    if (now - *healthy_since_ >= options_.settle)
        return Verdict::good;
    // Healthy right at the deadline is given its settle time: a slow boot is not a bad one.
    if (now >= options_.deadline + options_.settle)
        return Verdict::bad;
    return Verdict::undecided;
}

Judge::Verdict Judge::observe(const HealthReport& report, Time now) {
    std::optional<Failure> failure = find_failure(report);
    return decide(failure ? std::move(failure) : find_workload_failure(), now);
}

Judge::Verdict Judge::observe_checks(const std::vector<CheckResult>& round, Time now) {
    checks_ = round;
    std::optional<Failure> failure = find_workload_failure();
    // Only a report on the services can start or end the settle time well.
    return failure ? decide(std::move(failure), now) : Verdict::undecided;
}

} // namespace updater
