// The commands of fleetctl. Each returns the exit code or throws.
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "ctl/fleet_client.hpp"

namespace fleet {

struct CommandOptions {
    bool json = false;
    bool block = true;
    std::chrono::seconds timeout{300};
    unsigned replica = 0;
    unsigned lines = 10;
};

/// Reads all files before the first is sent. Throws base::ConfigError with the problems of all of them.
int submit_files(FleetClient& client, const std::vector<std::string>& files, const CommandOptions& options);
/// Unit files (submitted first) or names.
int start_units(FleetClient& client, const std::vector<std::string>& arguments, const CommandOptions& options);
int stop_units(FleetClient& client, const std::vector<std::string>& names, const CommandOptions& options);
int destroy_units(FleetClient& client, const std::vector<std::string>& names, const CommandOptions& options);
int list_units(FleetClient& client, const CommandOptions& options);
int list_hosts(FleetClient& client, const CommandOptions& options);
int show_status(FleetClient& client, const std::vector<std::string>& names, const CommandOptions& options);
int print_source(FleetClient& client, const std::string& name);
int print_logs(FleetClient& client, const std::string& name, const CommandOptions& options);

} // namespace fleet
