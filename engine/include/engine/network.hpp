// Container networking: bridges with their addresses, veth pairs into containers, masquerading and published ports.
//
//   engine::Networks networks({.state_directory = "/run/atoll/engine/network"});
//   networks.retain(ids_of_running_containers);            // once, after engined restarted
//   auto endpoint = networks.attach("bridge", id, engine::NetworkNamespace::of_process(pid), {.ports = ports});
//   networks.detach(id);
//
// Nothing touches the kernel before the first attach: a host that runs no bridged container has no bridge, no rules
// and no forwarding. What was attached is in STATE_DIRECTORY (a tmpfs: kernel state does not survive a reboot either),
// so that an engined that starts again knows its addresses and ports. All methods are thread-safe.
// Errors: base::Error; a failed attach leaves nothing behind.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace engine {

/// A port published on the host.
struct PublishedPort {
    std::string host_address;    ///< IPv4; empty or "0.0.0.0": every address of the host
    std::uint16_t host_port = 0; ///< 0: one is chosen from 49153-65535; the endpoint says which
    std::uint16_t container_port = 0;
    std::string protocol = "tcp"; ///< "tcp" or "udp"
    bool operator==(const PublishedPort&) const = default;
};

/// A bridge network. Only `name` must be given.
struct NetworkDefinition {
    std::string name;      ///< "bridge" is the default network, which always exists
    std::string id;        ///< 64 hexadecimal digits; empty: made from the name
    std::string device;    ///< of the bridge, at most 15 characters; empty: "br-" and 12 digits of the id
    std::string subnet;    ///< "172.30.0.0/16"; empty: the next free one of the pool
    std::string gateway;   ///< empty: the first address of the subnet
    bool internal = false; ///< no way out of the host
    bool operator==(const NetworkDefinition&) const = default;
};

/// A container's attachment to one network.
struct NetworkEndpoint {
    std::string container;
    std::string network; ///< its name
    std::string network_id;
    std::string endpoint_id; ///< 64 hexadecimal digits
    std::string address;     ///< "172.30.0.2"
    unsigned prefix_length = 0;
    std::string gateway;              ///< empty on an internal network
    std::string mac;                  ///< "02:42:ac:1e:00:02"
    std::string host_device;          ///< the veth end on the host
    std::vector<PublishedPort> ports; ///< with the host ports chosen
    bool operator==(const NetworkEndpoint&) const = default;
};

/// Where the container's end goes: by process, or by path (/run/netns/x, /proc/PID/ns/net).
class NetworkNamespace {
public:
    static NetworkNamespace of_process(int pid) { return NetworkNamespace("/proc/" + std::to_string(pid) + "/ns/net"); }
    static NetworkNamespace at_path(std::string path) { return NetworkNamespace(std::move(path)); }
    const std::string& path() const noexcept { return path_; }

private:
    explicit NetworkNamespace(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

struct AttachOptions {
    std::vector<PublishedPort> ports;
    std::optional<std::string> address; ///< a fixed one of the subnet
    std::optional<std::string> mac;
    std::string interface = "eth0"; ///< its name in the container
};

struct NetworksConfig {
    std::string state_directory = "/run/atoll/engine/network";
    NetworkDefinition default_network{
        .name = "bridge", .id = {}, .device = "atoll0", .subnet = "172.30.0.0/16", .gateway = {}};
    /// Where networks made by `create` are written, durably; empty: they live as long as STATE_DIRECTORY.
    std::string definitions_file;
    std::string pool = "172.31.0.0/16"; ///< subnets of further networks are /24 of it
    std::string table = "atoll";        ///< the nftables table (family inet) that is ours alone
    std::vector<std::string> nft_command = {"nft"};
};

class Networks {
public:
    /// Reads the state; changes nothing in the kernel.
    explicit Networks(NetworksConfig config = {});
    ~Networks();
    Networks(const Networks&) = delete;
    Networks& operator=(const Networks&) = delete;

    /// Joins a container to `network`: bridge, address, veth pair, default route (unless it has one), "lo" up,
    /// published ports. A port that is taken throws Error with Docker's words:
    /// "driver failed programming external connectivity on endpoint ...: Bind for 0.0.0.0:80 failed: port is already
    /// allocated".
    NetworkEndpoint attach(const std::string& network, const std::string& container, const NetworkNamespace& where,
                           const AttachOptions& options = {});
    /// Takes the container off every network; no error when it was on none or its namespace is gone.
    void detach(const std::string& container);
    void detach(const std::string& container, const std::string& network);
    /// Only "lo" up, for a container without network.
    static void set_up_loopback(const NetworkNamespace& where);

    std::vector<NetworkEndpoint> endpoints() const;
    std::vector<NetworkEndpoint> endpoints_of(const std::string& container) const;

    /// After a restart of engined: detaches every container not in `containers`, puts bridges and rules back as they
    /// should be for the others.
    void retain(const std::set<std::string>& containers);

    /// Throws when the name exists or the subnet overlaps another network or a route of the host.
    NetworkDefinition create(NetworkDefinition definition);
    /// Throws when it is unknown, the default network, or has endpoints.
    void remove(const std::string& name);
    std::vector<NetworkDefinition> list() const; ///< the default network first
    std::optional<NetworkDefinition> find(const std::string& name_or_id) const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace engine
