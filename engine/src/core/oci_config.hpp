// A container's configuration as config.json of the OCI runtime specification.
#pragma once
#include <set>
#include <string>

#include "core/user_lookup.hpp"
#include "engine/container.hpp"
#include "engine/engine.hpp"

namespace engine {

struct OciInput {
    std::string id;
    const ContainerConfig* config = nullptr;
    std::string rootfs;    ///< mounted already
    std::string directory; ///< with hosts, hostname and resolv.conf; empty: none of them
    std::string hostname;
    std::string cgroups_path;      ///< below the cgroup2 mount; empty: none
    std::string network_namespace; ///< path to join; empty: by network_mode
    std::string pid_namespace;
    ContainerUser user;
};

/// The 14 capabilities a container has by default.
const std::set<std::string>& default_capabilities();
/// What cap_add, cap_drop, privileged and only_capabilities make. Throws EngineError for an unknown name.
std::set<std::string> effective_capabilities(const ContainerConfig& config);

/// The environment: defaults (PATH, HOSTNAME, TERM, HOME) unless named by the configuration.
std::vector<std::string> container_environment(const ContainerConfig& config, const std::string& hostname,
                                               const ContainerUser& user);

std::string make_oci_config(const OciInput& input);

/// The "process" document of `exec`.
std::string make_oci_process(const ContainerConfig& config, const ExecConfig& exec, const std::string& hostname,
                             const ContainerUser& user);

/// The document of `update --resources`.
std::string make_oci_resources(const Resources& resources);

} // namespace engine
