// A container's files: the mounted root file system, and /etc/hosts, hostname and resolv.conf.
#pragma once
#include <string>
#include <vector>

#include "engine/container.hpp"

namespace engine {

/// Mounts overlayfs on `target`: `lower` (topmost first) below DIRECTORY/upper. Throws base::Error.
void mount_overlay(const std::vector<std::string>& lower, const std::string& directory, const std::string& target);
/// Binds the host's root (the deployment, without what is mounted on it) read-only on `target`.
void mount_host_root(const std::string& target);
/// Detaches what is mounted on `target`; nothing mounted there is no error.
void unmount(const std::string& target);

/// Writes them in place into `directory`: the files are bind mounts of running containers. `address` is the
/// container's own; empty: none yet.
void write_etc_files(const std::string& directory, const ContainerConfig& config, const std::string& hostname,
                     const std::string& address);

/// resolv.conf for a container: the host's text with what the configuration says. A container with its own network
/// cannot reach the host's loopback name servers: they are left out.
std::string make_resolv_conf(const std::string& host_text, const ContainerConfig& config);
std::string make_hosts(const ContainerConfig& config, const std::string& hostname, const std::string& address);

} // namespace engine
