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
        return Failure{"", "engined answers", report.error, false};
    std::optional<Failure> failure;
    for (const ServiceHealth& service : report.services) {
        if (!service.required || service.name == options_.own_service)
            continue;
        const auto [seen, first] = restarts_.try_emplace(service.name, service.restarts);
        const bool restarted = !first && service.restarts != seen->second;
        seen->second = service.restarts;
        if (failure)
            continue;
        if (service.state != "running")
            failure =
                Failure{service.name, fmt::format("service {} runs", service.name),
                        fmt::format("state {}{}{}", service.state, service.detail.empty() ? "" : ": ", service.detail),
                        service.state == "failed" || service.restarts > 0};
        else if (!service.health.empty() && service.health != "healthy" && service.health != "none")
            failure = Failure{
                service.name, fmt::format("service {} is healthy", service.name),
                fmt::format("health {}{}{}", service.health, service.detail.empty() ? "" : ": ", service.detail),
                service.health == "unhealthy"};
        else if (restarted)
            failure = Failure{service.name, fmt::format("service {} keeps running", service.name),
                              fmt::format("restarted {} times", service.restarts), true};
    }
    return failure;
}

Judge::Verdict Judge::observe(const HealthReport& report, Time now) {
    std::optional<Failure> failure = find_failure(report);
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

} // namespace updater
