// /etc/atoll/host.yaml: one file sets a host up. One struct for all of it, so that an unknown key is refused in one
// place; each daemon reads its own section.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace base {

/// Certificate files of a TCP listener with mutual TLS, absolute or relative to the configuration file's folder.
struct TlsFiles {
    std::string ca;
    std::string certificate;
    std::string key;
};

/// A TCP listener; there is none without TLS.
struct ListenConfig {
    std::string address; ///< "0.0.0.0:2376" or "[::]:2376"
    TlsFiles tls;
};

struct NetworkConfig {
    std::string interface; ///< empty: every Ethernet interface
    bool dhcp = true;
    std::string address; ///< "192.168.1.10/24" when not dhcp
    std::string gateway;
    std::vector<std::string> dns;
};

/// A FleetLock v1 server: who has one of its slots may reboot.
struct RebootLock {
    std::string url; ///< its base URL
    std::string group = "default";
    std::string id; ///< empty: made from the machine id
};

/// When updates are looked for and installed by themselves.
struct UpdatePolicy {
    enum class Mode {
        off,       ///< never
        check,     ///< only look
        stage,     ///< fetch; installed when somebody reboots
        immediate, ///< fetch and reboot
        windows,   ///< fetch, and reboot within `windows`
    };
    struct Window {
        std::uint8_t days = 0; ///< bits, Sunday is the first; of the window's beginning
        unsigned start = 0;    ///< minutes since midnight
        unsigned end = 0;      ///< before `start`: on the next day
    };
    Mode mode = Mode::off;
    std::uint64_t interval_seconds = 3600;
    std::string zone = "UTC"; ///< of `windows`: "UTC", "+02:00", POSIX TZ, or a name when there is a database
    std::vector<Window> windows;
    std::optional<RebootLock> lock;
};

struct UpdateConfig {
    std::string url;                   ///< of the repository; empty: no updates
    std::string ref;                   ///< `stream` (or `ref`, its older name); empty: the one the image was built as
    std::string ca;                    ///< file of the authorities trusted for an https url; empty: the system's
    std::string proxy;                 ///< "http://host:port"; empty: none, whatever the environment says
    std::vector<std::string> keys;     ///< base64 ed25519 keys, added to the image's own
    std::uint64_t settle_seconds = 30; ///< how long everything must be healthy before a revision is good
    UpdatePolicy policy;
    std::uint64_t keep = 2;            ///< deployments, when nothing makes more of them necessary
    std::uint64_t trial_seconds = 600; ///< then a revision nobody found good is given up
};

/// One entry of `health:`: a workload this host is for. Exactly one of the keys named after the kinds.
struct HealthCheck {
    enum class Kind {
        service,         ///< a system service runs and is healthy
        container,       ///< a container, by name
        label,           ///< at least `at_least` containers with the label "key" or "key=value"
        unit,            ///< the fleet unit's containers on this host
        check_container, ///< a container, by name, that is started and has to end with exit code 0
        command,         ///< a command in the updater's container has to end with exit code 0
    };
    std::string name; ///< unique: letters, digits, "-", "_" and "."
    Kind kind = Kind::service;
    std::string target; ///< service, container, label or unit; empty for a command
    std::vector<std::string> command;
    std::uint64_t at_least = 1;
    std::uint64_t timeout_seconds = 10; ///< of check_container and command

    /// "label app=shop, at least 2": tells whether two checks are the same one.
    std::string describe() const;
};

struct HostConfig {
    std::string hostname = "atoll";
    std::optional<ListenConfig> engine;
    std::optional<ListenConfig> fleet;
    NetworkConfig network;
    UpdateConfig update;
    std::vector<HealthCheck> health; ///< at most 64
    std::map<std::string, std::string> sysctl;
    std::vector<std::string> modules;

    static constexpr const char* default_path = "/etc/atoll/host.yaml";
    /// Defaults when there is no such file. Throws ConfigError.
    static HostConfig load(const std::string& path = default_path);
    static HostConfig parse(std::string_view text, const std::string& name);
};

} // namespace base
