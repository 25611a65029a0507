// /usr/lib/atoll/services/NAME.yaml (ARCHITECTURE.md has the schema).
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/container.hpp"

namespace engine {

struct ServiceMount {
    std::string source;
    std::string target;
    std::vector<std::string> options; ///< "rbind", "ro", ...; without "rw" it is read-only
    std::string type;                 ///< "bind" (default) or "tmpfs"
};

struct ServiceConfig {
    std::string name;
    std::string description;
    std::string image; ///< empty: the host's root
    std::vector<std::string> command;
    bool required = false;
    std::vector<std::string> after;
    RestartPolicy restart;
    std::string network = "none";
    bool host_pid = false;
    std::string user;
    std::vector<std::string> capabilities;
    std::vector<ServiceMount> mounts;
    std::map<std::string, std::string> environment;
    std::vector<std::string> devices;
    bool seccomp = true;
    std::uint64_t memory_min = 0;
    std::uint64_t memory_max = 0;
    std::chrono::milliseconds stop_timeout{10'000};
    HealthConfig health;
};

/// Throws base::ConfigError with every problem.
ServiceConfig parse_service(std::string_view text, const std::string& name);
ServiceConfig load_service(const std::string& path);

/// The services in an order in which each comes after those it names. Those of a cycle, or after one that does not
/// exist, are put where they can: the problems say so. A broken order must not keep the machine from starting.
std::vector<ServiceConfig> order_services(std::vector<ServiceConfig> services, std::vector<std::string>& problems);

} // namespace engine
