#include "network/host_ports.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/error.hpp"
#include "base/scope_exit.hpp"
#include "network/ipv4.hpp"

namespace engine::network {

namespace {

constexpr std::uint16_t first_dynamic = 49153; // as Docker's documentation says

bool is_any(const PublishedPort& port) {
    return port.host_address.empty() || port.host_address == "0.0.0.0";
}

std::string shown_address(const PublishedPort& port) {
    return port.host_address.empty() ? "0.0.0.0" : port.host_address;
}

void check_port(const PublishedPort& port) {
    if (port.protocol != "tcp" && port.protocol != "udp")
        throw base::Error("publish port " + std::to_string(port.container_port) + ": protocol \"" + port.protocol +
                          "\" is not tcp or udp");
    if (port.container_port == 0)
        throw base::Error("publish: the container's port is missing");
    if (!is_any(port) && !parse_address(port.host_address))
        throw base::Error("publish port " + std::to_string(port.container_port) + ": \"" + port.host_address +
                          "\" is not an IPv4 address");
}

/// -1 and errno when the port cannot be had.
base::UniqueFd bind_port(const PublishedPort& port) {
    const bool stream = port.protocol == "tcp";
    base::UniqueFd socket_fd(socket(AF_INET, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port.host_port);
    address.sin_addr.s_addr = htonl(parse_address(shown_address(port)).value_or(0));
    // TCP without SO_REUSEADDR would find connections in TIME_WAIT in its way; with it, still no listener beside us.
    const int yes = 1;
    if (socket_fd && stream)
        setsockopt(socket_fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (!socket_fd || bind(socket_fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
        return {};
    if (stream && listen(socket_fd.get(), 1) < 0) // two bound with SO_REUSEADDR exclude each other by listening only
        return {};
    return socket_fd;
}

} // namespace

bool HostPorts::conflicts(const PublishedPort& port) const {
    return std::any_of(held_.begin(), held_.end(), [&](const Held& held) {
        return held.port.protocol == port.protocol && held.port.host_port == port.host_port &&
               (is_any(held.port) || is_any(port) || held.port.host_address == port.host_address);
    });
}

std::vector<PublishedPort> HostPorts::reserve(const std::string& owner, const std::string& container,
                                              std::vector<PublishedPort> ports) {
    base::ScopeExit undo([&] { release(owner); });
    for (PublishedPort& port : ports) {
        check_port(port);
        const std::string failed =
            "driver failed programming external connectivity on endpoint " + container + " (" + owner + "): ";
        if (port.host_port != 0) {
            if (conflicts(port))
                throw base::Error(failed + "Bind for " + shown_address(port) + ":" + std::to_string(port.host_port) +
                                  " failed: port is already allocated");
            base::UniqueFd socket_fd = bind_port(port);
            if (!socket_fd) {
                const int error = errno;
                throw base::Error(
                    failed + "failed to bind port " + shown_address(port) + ":" + std::to_string(port.host_port) + "/" +
                    port.protocol + ": " +
                    (error == EADDRINUSE ? "address already in use" : std::generic_category().message(error)));
            }
            held_.push_back({owner, port, std::move(socket_fd)});
            continue;
        }
        base::UniqueFd socket_fd;
        for (unsigned number = first_dynamic; number <= 65535 && !socket_fd; ++number) {
            port.host_port = static_cast<std::uint16_t>(number);
            if (!conflicts(port))
                socket_fd = bind_port(port);
        }
        if (!socket_fd)
            throw base::Error(failed + "all dynamic ports are allocated");
        held_.push_back({owner, port, std::move(socket_fd)});
    }
    undo.dismiss();
    return ports;
}

void HostPorts::adopt(const std::string& owner, const std::vector<PublishedPort>& ports) {
    for (const PublishedPort& port : ports)
        held_.push_back({owner, port, bind_port(port)});
}

void HostPorts::release(const std::string& owner) {
    held_.erase(std::remove_if(held_.begin(), held_.end(), [&](const Held& held) { return held.owner == owner; }),
                held_.end());
}

} // namespace engine::network
