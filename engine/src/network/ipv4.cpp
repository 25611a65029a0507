#include "network/ipv4.hpp"

#include <arpa/inet.h>

#include <charconv>

#include "base/error.hpp"

namespace engine::network {

std::optional<std::uint32_t> parse_address(std::string_view text) {
    in_addr address{};
    if (inet_pton(AF_INET, std::string(text).c_str(), &address) != 1)
        return std::nullopt;
    return ntohl(address.s_addr);
}

std::string to_string(std::uint32_t address) {
    return fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 0xff, address >> 8 & 0xff, address & 0xff);
}

Subnet parse_subnet(const std::string& text) {
    const std::size_t slash = text.find('/');
    const std::optional<std::uint32_t> address = parse_address(std::string_view(text).substr(0, slash));
    Subnet subnet;
    if (!address || slash == std::string::npos)
        throw base::Error("\"" + text + "\" is not an IPv4 subnet such as 172.30.0.0/16");
    const char* const end = text.data() + text.size();
    const auto [next, error] = std::from_chars(text.data() + slash + 1, end, subnet.prefix_length);
    if (error != std::errc{} || next != end || subnet.prefix_length < 8 || subnet.prefix_length > 29)
        throw base::Error("\"" + text + "\": the prefix must be /8 to /29");
    subnet.base = *address;
    if ((subnet.base & ~subnet.mask()) != 0)
        throw base::Error("\"" + text + "\" has host bits set; the subnet is " +
                          to_string(subnet.base & subnet.mask()) + text.substr(slash));
    return subnet;
}

std::string to_string(const Subnet& subnet) {
    return to_string(subnet.base) + "/" + std::to_string(subnet.prefix_length);
}

std::string mac_of(std::uint32_t address) {
    return fmt::format("02:42:{:02x}:{:02x}:{:02x}:{:02x}", address >> 24, address >> 16 & 0xff, address >> 8 & 0xff,
                       address & 0xff);
}

std::optional<std::array<std::uint8_t, 6>> parse_mac(std::string_view text) {
    std::array<std::uint8_t, 6> octets{};
    if (text.size() != 17)
        return std::nullopt;
    for (std::size_t octet = 0; octet < 6; ++octet) {
        const char* const at = text.data() + octet * 3;
        const auto [end, error] = std::from_chars(at, at + 2, octets[octet], 16);
        if (error != std::errc{} || end != at + 2 || (octet < 5 && at[2] != ':'))
            return std::nullopt;
    }
    if ((octets[0] & 1U) != 0) // multicast
        return std::nullopt;
    return octets;
}

} // namespace engine::network
