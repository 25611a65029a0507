// What a unit is: the content of a unit file.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fleet {

/// "8080:80", "127.0.0.1:8080:80/udp", or "80": a port of the container on a free port of the host.
struct PublishedPort {
    std::string address;         ///< of the host; empty: all
    std::uint16_t host_port = 0; ///< 0: any free one
    std::uint16_t container_port = 0;
    std::string protocol = "tcp"; ///< tcp, udp
    bool operator==(const PublishedPort&) const = default;
};

/// True when both cannot be published on one host.
bool ports_conflict(const PublishedPort& a, const PublishedPort& b) noexcept;
std::string to_string(const PublishedPort& port);

/// "/var/lib/web:/data:ro", or "volume-name:/data".
struct UnitMount {
    std::string source;
    std::string target;
    bool read_only = false;
    bool operator==(const UnitMount&) const = default;
};

struct UnitHealth {
    std::vector<std::string> command;
    std::chrono::milliseconds interval{30'000};
    std::chrono::milliseconds timeout{30'000};
    std::chrono::milliseconds start_period{0};
    unsigned retries = 3;
    bool operator==(const UnitHealth&) const = default;
};

/// `no` and `on_failure`: runs to its end once a `start`; on_failure again until it succeeds.
enum class Restart { no, on_failure, always };
const char* to_string(Restart restart) noexcept;
std::optional<Restart> parse_restart(std::string_view text) noexcept;

struct UnitSpec {
    std::string name;
    std::string image;
    std::vector<std::string> command; ///< empty: the image's
    std::map<std::string, std::string> env;
    std::vector<PublishedPort> ports;
    std::vector<UnitMount> mounts;
    Restart restart = Restart::always;
    unsigned replicas = 1;
    std::optional<UnitHealth> health;
    bool operator==(const UnitSpec&) const = default;
};

constexpr std::size_t max_unit_text = 256UL * 1024;
constexpr unsigned max_replicas = 256;

/// 1 to 63 letters, digits, dots, dashes and underscores; the first a letter or digit.
bool valid_unit_name(std::string_view name) noexcept;

/// Reads a unit file. Throws base::ConfigError with all problems, each "FILE:line:column: key: problem".
UnitSpec parse_unit(std::string_view text, const std::string& file);

/// What a container of the unit depends on: 64 hexadecimal digits over everything but the name and the number of
/// replicas. A key with its default value does not count, so a release that adds keys keeps the hashes there are.
std::string unit_hash(const UnitSpec& spec);

} // namespace fleet
