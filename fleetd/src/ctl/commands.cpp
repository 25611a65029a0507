#include "ctl/commands.hpp"

#include <unistd.h>

#include <sstream>

#include "base/cli.hpp"
#include "base/config_reader.hpp"
#include "base/files.hpp"
#include "ctl/progress.hpp"
#include "ctl/table.hpp"

namespace fleet {
namespace {

struct UnitFile {
    std::string name;
    std::string source;
    std::string file;
};

/// A name has no slash and no ending of a file.
bool is_file(const std::string& argument) {
    return argument == "-" || std::count(argument.begin(), argument.end(), '/') > 0 || argument.ends_with(".yaml") ||
           argument.ends_with(".yml");
}

std::vector<UnitFile> read_unit_files(const std::vector<std::string>& files) {
    std::vector<UnitFile> units;
    std::vector<std::string> problems;
    for (const std::string& file : files) {
        const std::string shown = file == "-" ? "standard input" : file;
        const std::string source =
            file == "-" ? base::read_fd(STDIN_FILENO, max_unit_text + 1, shown) : base::read_file(file);
        try {
            const UnitSpec spec = parse_unit(source, shown);
            units.push_back({spec.name, source, shown});
        } catch (const base::ConfigError& error) {
            problems.insert(problems.end(), error.problems().begin(), error.problems().end());
        }
    }
    for (std::size_t i = 0; i < units.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            if (units[i].name == units[j].name)
                problems.push_back(
                    fmt::format("{}: unit {} is in {} too", units[i].file, units[i].name, units[j].file));
        }
    }
    if (!problems.empty())
        throw base::ConfigError(problems);
    return units;
}

void check_name(const std::string& name) {
    if (!valid_unit_name(name))
        throw base::UsageError(fmt::format("{} is not a name of a unit", printable(name)));
}

/// "healthy" or "-"
std::string or_dash(const std::string& text) {
    return text.empty() || text == "none" ? "-" : printable(text);
}

std::string detail_of(const ReplicaReport& report) {
    if (report.error.empty() || report.detail.empty())
        return printable(report.detail + report.error);
    return printable(report.detail + ": " + report.error);
}

void print_status(const UnitStatus& status) {
    fmt::print("{}\n  wanted   {}\n  image    {}\n  revision {}\n", status.name, status.desired, or_dash(status.image),
               status.revision);
    if (!status.error.empty())
        fmt::print("  error    {}\n", printable(status.error));
    for (const ReplicaStatus& replica : status.replicas) {
        const ReplicaReport& report = replica.report;
        fmt::print("{}: {}\n", replica_title(status.name, replica), describe_replica(replica));
        if (!report.container.empty())
            fmt::print("  container {}  since {}  restarts {}\n", report.container.substr(0, 12),
                       or_dash(report.since.substr(0, report.since.find_first_of('.'))), report.restarts);
    }
}

void print_log_lines(FleetClient& client, const UnitStatus& status, unsigned lines) {
    for (const ReplicaStatus& replica : status.replicas) {
        if (replica.report.container.empty() || lines == 0)
            continue;
        std::string text;
        try {
            text = client.logs(status.name, replica.report.replica, lines);
        } catch (const base::Error& error) { // the state is shown all the same
            text = fmt::format("no log: {}", error.what());
        }
        fmt::print("log of {}:\n", replica_title(status.name, replica));
        std::istringstream stream(text);
        for (std::string line; std::getline(stream, line);)
            fmt::print("  {}\n", printable(line));
    }
}

} // namespace

int submit_files(FleetClient& client, const std::vector<std::string>& files, const CommandOptions&) {
    for (const UnitFile& unit : read_unit_files(files)) {
        const SubmitResult result = client.submit(unit.name, unit.source, unit.file, std::nullopt);
        const char* what = "unchanged";
        if (result.created)
            what = "submitted";
        else if (result.changed)
            what = "changed";
        fmt::print("{}: {}\n", unit.name, what);
    }
    return 0;
}

int start_units(FleetClient& client, const std::vector<std::string>& arguments, const CommandOptions& options) {
    std::vector<std::string> files;
    std::vector<std::string> names;
    for (const std::string& argument : arguments)
        (is_file(argument) ? files : names).push_back(argument);
    for (const std::string& name : names)
        check_name(name);
    for (const UnitFile& unit : read_unit_files(files)) {
        client.submit(unit.name, unit.source, unit.file, Desired::launched);
        names.push_back(unit.name);
    }
    for (std::size_t i = 0; i + files.size() < names.size(); ++i)
        client.set_desired(names[i], Desired::launched);
    if (options.block)
        wait_until_converged(client, names, options.timeout);
    return 0;
}

int stop_units(FleetClient& client, const std::vector<std::string>& names, const CommandOptions& options) {
    for (const std::string& name : names)
        check_name(name);
    for (const std::string& name : names) {
        const auto status = client.status(name);
        if (status && status->desired == "inactive")
            continue; // is on no host: nothing to stop
        client.set_desired(name, Desired::loaded);
    }
    if (options.block)
        wait_until_converged(client, names, options.timeout);
    return 0;
}

int destroy_units(FleetClient& client, const std::vector<std::string>& names, const CommandOptions& options) {
    for (const std::string& name : names)
        check_name(name);
    for (const std::string& name : names)
        client.destroy(name);
    if (options.block)
        wait_until_converged(client, names, options.timeout);
    return 0;
}

int list_units(FleetClient& client, const CommandOptions& options) {
    if (options.json) {
        fmt::print("{}\n", client.raw("/v1/units"));
        return 0;
    }
    std::vector<std::vector<std::string>> rows{{"UNIT", "WANTED", "REPLICA", "HOST", "STATE", "HEALTH", "DETAIL"}};
    for (const UnitStatus& unit : client.units()) {
        if (unit.replicas.empty())
            rows.push_back({unit.name, unit.desired, "-", "-", "-", "-", printable(unit.error)});
        for (const ReplicaStatus& replica : unit.replicas) {
            const ReplicaReport& report = replica.report;
            rows.push_back({unit.name, unit.desired, std::to_string(report.replica), or_dash(replica.host_name),
                            printable(report.state), or_dash(report.health), detail_of(report)});
        }
    }
    fmt::print("{}", format_table(rows));
    return 0;
}

int list_hosts(FleetClient& client, const CommandOptions& options) {
    if (options.json) {
        fmt::print("{}\n", client.raw("/v1/hosts"));
        return 0;
    }
    std::vector<std::vector<std::string>> rows{
        {"HOST", "ID", "STATE", "REPLICAS", "RUNNING", "FLEETD", "ENGINE", "DETAIL"}};
    for (const HostStatus& host : client.hosts()) {
        std::string detail = printable(host.engine_error);
        if (!host.foreign_containers.empty())
            detail += fmt::format("{}{} containers of another fleet left alone", detail.empty() ? "" : "; ",
                                  host.foreign_containers.size());
        rows.push_back({printable(host.name), host.id.substr(0, 8), host.state, std::to_string(host.replicas),
                        std::to_string(host.running), host.version, or_dash(host.engine), detail});
    }
    fmt::print("{}", format_table(rows));
    return 0;
}

int show_status(FleetClient& client, const std::vector<std::string>& names, const CommandOptions& options) {
    for (const std::string& name : names) {
        check_name(name);
        if (options.json) {
            fmt::print("{}\n", client.raw("/v1/units/" + name + "/status"));
            continue;
        }
        const auto status = client.status(name);
        if (!status)
            throw base::Error(fmt::format("there is no unit {}", name));
        print_status(*status);
        print_log_lines(client, *status, options.lines);
    }
    return 0;
}

int print_source(FleetClient& client, const std::string& name) {
    check_name(name);
    const std::string source = client.source(name);
    fmt::print("{}{}", source, source.ends_with('\n') ? "" : "\n");
    return 0;
}

int print_logs(FleetClient& client, const std::string& name, const CommandOptions& options) {
    check_name(name);
    fmt::print("{}", client.logs(name, options.replica, options.lines));
    return 0;
}

} // namespace fleet
