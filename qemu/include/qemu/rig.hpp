// A machine with everything around it: certificates, configuration, an update server, a docker client. What the tests
// in tests/vm and qemu/up drive.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "qemu/file_server.hpp"
#include "qemu/images.hpp"
#include "qemu/machine.hpp"
#include "qemu/tls_material.hpp"

namespace qemu {

struct RigOptions {
    std::string name = "atoll";
    std::string directory; ///< of the machine
    std::string disk;
    std::string repository; ///< served to the machine
    Firmware firmware = Firmware::uefi;
    unsigned cpus = 1; ///< see qemu/DESIGN.md before giving a UEFI machine more
    unsigned settle_seconds = 5;
    unsigned trial_seconds = 120;
    std::string more_host_yaml; ///< whole lines
    std::vector<std::uint16_t> more_ports;
    std::uint16_t server_port = 0; ///< of the update server; 0: a free one
    bool die_with_parent = true;
    std::string write_log; ///< see MachineOptions
};

class Rig {
public:
    Rig(const Places& places, RigOptions options);

    /// A machine fresh from the image, powered on; returns when it is healthy and its revision good.
    void boot(Seconds limit = Seconds(300));
    /// Waits until every required service is healthy and the booted revision has been found good.
    void wait_good(Seconds limit);
    /// Waits for another boot than the one seen last, then wait_good.
    void wait_next_boot(Seconds limit);
    /// After a reboot into a release that is no good: follows the boots until `version` runs again and is good.
    /// Throws base::Error when the other release is found good, or at the limit.
    void wait_fallback(const std::string& version, Seconds limit);
    /// The answer of engined's health request, as JSON text.
    std::string health();
    /// The version of the booted image.
    std::string version();
    /// Asks for a reboot and waits for the next boot to be good.
    void reboot(Seconds limit = Seconds(300));

    /// An unmodified docker client on the host, over mutual TLS.
    base::RunResult docker(const std::vector<std::string>& arguments, const std::string& input = {});
    /// As `docker`, but throws base::Error unless it exits with 0. Returns its output without the last line's end.
    std::string docker_checked(const std::vector<std::string>& arguments, const std::string& input = {});
    /// fleetctl on the host, over mutual TLS.
    std::string fleetctl(const std::vector<std::string>& arguments, const std::string& input = {});
    /// The environment of a shell from which docker and fleetctl reach the machine.
    std::vector<std::string> client_environment() const;

    Machine& machine() noexcept { return machine_; }
    /// Serves another directory from now on, at the same address.
    void publish(const std::string& repository);
    FileServer& server() noexcept { return *server_; }

private:
    std::string host_yaml() const;

    Places places_;
    RigOptions options_;
    TlsMaterial tls_;
    std::optional<FileServer> server_;
    std::string docker_;
    Machine machine_;
};

/// Path of a docker client: the one in PATH, else Debian's docker.io, downloaded and unpacked below out/.
std::string find_docker(const Places& places);

} // namespace qemu
