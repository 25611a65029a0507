// IPv4 addresses and subnets in host byte order.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace engine::network {

struct Subnet {
    std::uint32_t base = 0; ///< the network's address
    unsigned prefix_length = 0;

    std::uint32_t mask() const noexcept { return prefix_length == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix_length); }
    std::uint32_t last() const noexcept { return base | ~mask(); } ///< the broadcast address
    bool contains(std::uint32_t address) const noexcept { return (address & mask()) == base; }
    bool overlaps(const Subnet& other) const noexcept { return contains(other.base) || other.contains(base); }
    bool operator==(const Subnet&) const = default;
};

/// Exactly four decimal numbers. nullopt for anything else.
std::optional<std::uint32_t> parse_address(std::string_view text);
std::string to_string(std::uint32_t address);

/// "172.30.0.0/16". Throws base::Error for what is no subnet, has host bits set, or has no room for two hosts.
Subnet parse_subnet(const std::string& text);
std::string to_string(const Subnet& subnet);

/// "02:42:ac:1e:00:02": locally administered, told from the address so that it is the same after a restart.
std::string mac_of(std::uint32_t address);
/// Six octets of a unicast address; nullopt for anything else.
std::optional<std::array<std::uint8_t, 6>> parse_mac(std::string_view text);

} // namespace engine::network
