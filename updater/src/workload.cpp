#include "updater/workload.hpp"

#include "record_json.hpp"
#include "updater/boot_text.hpp"
#include "updater/record.hpp"

namespace updater {

namespace {

using Kind = base::HealthCheck::Kind;

constexpr int temporary_failure = 75; // EX_TEMPFAIL
constexpr std::size_t max_detail = 300;

bool is_well(const ContainerFacts& container) {
    return container.state == "running" &&
           (container.health.empty() || container.health == "none" || container.health == "healthy");
}

std::string describe(const ContainerFacts& container) {
    const std::string& name = container.name.empty() ? container.id : container.name;
    return container.state != "running" || container.health.empty()
               ? fmt::format("{} is {}", name, container.state)
               : fmt::format("{} is {} and {}", name, container.state, container.health);
}

} // namespace

std::string_view to_string(Outcome outcome) noexcept {
    switch (outcome) {
    case Outcome::passed:
        return "passed";
    case Outcome::failed:
        return "failed";
    case Outcome::unknown:
        break;
    }
    return "unknown";
}

base::json::object check_to_json(const CheckResult& result) {
    return {{"name", result.name},
            {"outcome", to_string(result.outcome)},
            {"detail", result.detail},
            {"container", result.container},
            {"definition", result.definition},
            {"log", base::json::array(result.log.begin(), result.log.end())}};
}

CheckResult check_from_json(const base::JsonObject& object) {
    const std::string outcome = object.string("outcome");
    return {object.required_string("name"),
            outcome == "passed"   ? Outcome::passed
            : outcome == "failed" ? Outcome::failed
                                  : Outcome::unknown,
            object.string("detail"),
            object.string("container"),
            object.string("definition"),
            object.strings("log")};
}

CheckResult judge_containers(const base::HealthCheck& check, const std::vector<ContainerFacts>& found) {
    CheckResult result{check.name, Outcome::failed, {}, {}, check.describe()};
    std::uint64_t well = 0;
    for (const ContainerFacts& container : found) {
        if (is_well(container)) {
            ++well;
        } else if (result.container.empty()) {
            result.container = container.id;
            result.detail = plain_text(describe(container), max_detail);
        }
    }
    if (check.kind == Kind::unit) {
        // The fleet may have moved it to another host, and its agent may not reach the store yet.
        if (found.empty()) {
            result.outcome = Outcome::unknown;
            result.detail = fmt::format("no container of unit {} on this host", check.target);
        } else if (well == found.size()) {
            result.outcome = Outcome::passed;
        }
        return result;
    }
    const std::uint64_t needed = check.kind == Kind::label ? check.at_least : 1;
    if (well >= needed) {
        result.outcome = Outcome::passed;
        result.detail.clear();
        result.container.clear();
    } else if (result.detail.empty()) {
        result.detail = fmt::format("{} of {} containers", well, needed);
    } else if (needed > 1) {
        result.detail = fmt::format("{} of {} containers; {}", well, needed, result.detail);
    }
    return result;
}

CheckResult judge_exit(const base::HealthCheck& check, int code, const std::string& output) {
    CheckResult result{check.name, Outcome::failed, {}, {}, check.describe()};
    if (check.kind == Kind::check_container)
        result.container = check.target;
    if (code == 0) {
        result.outcome = Outcome::passed;
        return result;
    }
    if (code == temporary_failure)
        result.outcome = Outcome::unknown;
    std::string_view last = output;
    while (last.ends_with('\n'))
        last.remove_suffix(1);
    last.remove_prefix(std::min(last.rfind('\n') + 1, last.size())); // npos + 1 is 0
    result.detail = last.empty() ? fmt::format("exit code {}", code)
                                 : fmt::format("exit code {}: {}", code, plain_text(last, max_detail));
    constexpr std::size_t max_lines = 20;
    std::string_view rest = output;
    while (rest.ends_with('\n'))
        rest.remove_suffix(1);
    while (!rest.empty() && result.log.size() < max_lines) {
        const std::size_t start = rest.rfind('\n') + 1; // npos + 1 is 0
        result.log.insert(result.log.begin(), plain_text(rest.substr(start), max_detail));
        rest.remove_suffix(rest.size() - (start > 0 ? start - 1 : 0));
    }
    return result;
}

void Baseline::add(const std::string& booted, const std::vector<CheckResult>& round, std::int64_t now) {
    if (booted != revision) {
        passed.clear();
        revision = booted;
    }
    time = now;
    for (const CheckResult& result : round) {
        if (result.outcome == Outcome::passed)
            passed[result.name] = {result.definition, now};
    }
}

bool Baseline::blames(const base::HealthCheck& check, std::string_view on_trial) const {
    const auto pass = passed.find(check.name);
    return !revision.empty() && revision != on_trial && pass != passed.end() &&
           pass->second.definition == check.describe() && time - pass->second.time <= max_age &&
           pass->second.time <= time;
}

} // namespace updater
