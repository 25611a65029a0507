// The workloads of this host as `health:` in host.yaml names them, and what an update may be blamed for: a check
// condemns a revision on trial only when it passed under the revision before, shortly before the reboot. Pure.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/host_config.hpp"

namespace updater {

enum class Outcome {
    passed,
    failed,
    unknown, ///< cannot be told here and now; blames nobody
};

std::string_view to_string(Outcome outcome) noexcept;

struct CheckResult {
    std::string name;
    Outcome outcome = Outcome::unknown;
    std::string detail;
    std::string container;             ///< id or name of a container that explains a failure; may be empty
    std::string definition;            ///< HealthCheck::describe()
    std::vector<std::string> log = {}; ///< a command's last lines, when it failed
};

/// What engined says of one container.
struct ContainerFacts {
    std::string id;
    std::string name;
    std::string state;  ///< "running", "exited", "restarting", ...
    std::string health; ///< "healthy", "unhealthy", "starting"; empty or "none": it has no health command
};

/// For the kinds service, container, label and unit: `found` are the containers the check is about.
CheckResult judge_containers(const base::HealthCheck& check, const std::vector<ContainerFacts>& found);
/// For check_container and command. Exit code 75 (EX_TEMPFAIL of sysexits.h) means "cannot tell": the check itself
/// depends on something that is not there, such as a name server.
CheckResult judge_exit(const base::HealthCheck& check, int code, const std::string& output);

/// Which checks passed under a revision, and when. Kept in the record while an update waits for its reboot.
struct Baseline {
    static constexpr std::int64_t max_age = 600; ///< seconds: what passed longer ago says nothing about the update

    std::string revision;
    std::int64_t time = 0; ///< of the last round of checks, whatever came out
    struct Pass {
        std::string definition; ///< a check that was changed meanwhile is another one
        std::int64_t time = 0;
    };
    std::map<std::string, Pass> passed; ///< by name

    /// Another revision's results do not count on.
    void add(const std::string& booted, const std::vector<CheckResult>& round, std::int64_t now);
    /// Whether a failure of the check under `on_trial` condemns it.
    bool blames(const base::HealthCheck& check, std::string_view on_trial) const;
    bool operator==(const Baseline&) const = default;
};
inline bool operator==(const Baseline::Pass& left, const Baseline::Pass& right) {
    return left.definition == right.definition && left.time == right.time;
}

} // namespace updater
