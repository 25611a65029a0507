// The checksum of ext4 and its journal: Castagnoli's polynomial, reflected, without an inversion at the end.
#pragma once
#include <array>
#include <cstdint>
#include <span>

namespace init {

namespace detail {

/// What each byte does to a sum of 0.
inline constexpr std::array<std::uint32_t, 256> crc32c_of_byte = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
        std::uint32_t sum = byte;
        for (int bit = 0; bit < 8; ++bit)
            sum = sum >> 1 ^ ((sum & 1U) != 0 ? 0x82f63b78U : 0U);
        table[byte] = sum;
    }
    return table;
}();

} // namespace detail

inline std::uint32_t crc32c(std::uint32_t sum, std::span<const std::uint8_t> bytes) noexcept {
    for (const std::uint8_t byte : bytes)
        sum = sum >> 8 ^ detail::crc32c_of_byte[(sum ^ byte) & 0xffU];
    return sum;
}

} // namespace init
