#include "ctl/progress.hpp"

#include <thread>

#include "ctl/table.hpp"

namespace fleet {
namespace {

constexpr unsigned too_many_restarts = 3;

/// One line for every replica whose description changed.
void tell(const UnitStatus& status, std::map<std::string, std::string>& told) {
    for (const ReplicaStatus& replica : status.replicas) {
        if (!replica.current)
            continue;
        const std::string title = replica_title(status.name, replica);
        const std::string text = describe_replica(replica);
        if (std::exchange(told[title], text) != text)
            fmt::print(stderr, "{}: {}\n", title, text);
    }
}

} // namespace

std::string describe_replica(const ReplicaStatus& replica) {
    const ReplicaReport& report = replica.report;
    std::string text = report.state;
    if (report.health != "none" && !report.health.empty())
        text += ", " + report.health;
    if (!report.detail.empty())
        text += " (" + report.detail + ")";
    if (!report.error.empty())
        text += ": " + report.error;
    return printable(text);
}

std::string replica_title(const std::string& unit, const ReplicaStatus& replica) {
    const std::string where = replica.host_name.empty() ? "" : " on " + replica.host_name;
    return printable(fmt::format("{}/{}{}", unit, replica.report.replica, where));
}

std::string hopeless(const UnitStatus& status) {
    if (!status.error.empty())
        return fmt::format("{}: {}", status.name, printable(status.error));
    for (const ReplicaStatus& replica : status.replicas) {
        const ReplicaReport& report = replica.report;
        const bool unhealthy = report.state == "running" && report.health == "unhealthy";
        const bool loops = report.state == "restarting" && report.restarts >= too_many_restarts;
        if (!report.error.empty() || report.state == "failed" || unhealthy || loops)
            return fmt::format("{}: {}", replica_title(status.name, replica), describe_replica(replica));
    }
    return {};
}

void wait_until_converged(FleetClient& client, const std::vector<std::string>& units, std::chrono::seconds timeout) {
    using namespace std::chrono_literals;
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    std::map<std::string, std::string> told;
    for (const std::string& name : units) {
        for (;;) {
            const auto status = client.status(name);
            if (!status) // destroyed, and its containers are gone
                break;
            tell(*status, told);
            const std::string why = hopeless(*status);
            if (!why.empty())
                throw base::Error(why + " (fleetd goes on trying)");
            if (status->converged && status->desired != "destroyed")
                break;
            if (std::chrono::steady_clock::now() >= deadline)
                throw base::Error(fmt::format("{} is not {} after {} s (fleetd goes on trying)", name, status->desired,
                                              timeout.count()));
            std::this_thread::sleep_for(200ms);
        }
    }
}

} // namespace fleet
