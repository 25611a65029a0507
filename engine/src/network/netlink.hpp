// The few requests of rtnetlink that networks need, one network namespace each.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "network/ipv4.hpp"

struct mnl_socket;
struct nlmsghdr;

namespace engine::network {

using MacAddress = std::array<std::uint8_t, 6>;

/// A netlink connection to one network namespace. Methods throw base::Error naming the device.
class Netlink {
public:
    /// Of the caller's namespace.
    Netlink();
    /// Of the namespace `fd`: the calling thread enters it for as long as it takes to open a socket.
    explicit Netlink(int namespace_fd);
    ~Netlink();
    Netlink(const Netlink&) = delete;
    Netlink& operator=(const Netlink&) = delete;

    /// nullopt when there is no such device.
    std::optional<unsigned> find_link(const std::string& name);
    /// Names of the devices attached to the bridge.
    std::vector<std::string> ports_of(unsigned bridge);

    void add_bridge(const std::string& name, const MacAddress& mac);
    /// A pair of which one end, `peer`, is in the namespace `peer_namespace` with the address `mac`.
    void add_veth(const std::string& name, const std::string& peer, int peer_namespace, const MacAddress& mac);
    void set_master(const std::string& name, unsigned bridge);
    /// What comes from a bridge's port may leave by it: where br_netfilter is loaded, translation happens in the bridge
    /// and a container that uses its own published port needs it.
    void set_hairpin(const std::string& name);
    void set_up(const std::string& name);
    /// Until the device passes packets: the kernel opens its queues, and a bridge its port, in a worker of its own
    /// some time after it was set up, and drops what comes before. False when it does not within `timeout`.
    bool await_carrier(const std::string& name, std::chrono::milliseconds timeout);
    /// No error when it is gone.
    void remove_link(const std::string& name);

    /// No error when the device has it already.
    void add_address(const std::string& name, std::uint32_t address, unsigned prefix_length);
    /// False when there is a default route already.
    bool add_default_route(std::uint32_t gateway);
    /// Destinations of the main table's routes, without default routes and those of `except` (a device's index).
    std::vector<Subnet> routes(std::optional<unsigned> except);

private:
    void open_socket();
    /// Sends and waits for the acknowledgement; an errno, 0 when done.
    int request(nlmsghdr* message);
    void check(int error, const std::string& operation);
    unsigned index_of(const std::string& name);
    /// Calls `visit(reply)` unless there is no such device; returns whether there is.
    template <typename F>
    bool query_link(const std::string& name, F&& visit);
    template <typename F>
    void dump(nlmsghdr* message, F&& visit);

    mnl_socket* socket_ = nullptr;
    std::uint32_t sequence_ = 0;
};

} // namespace engine::network
