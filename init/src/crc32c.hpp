// The checksum of ext4 and its journal: Castagnoli's polynomial, reflected, without an inversion at the end.
#pragma once
#include <cstdint>
#include <span>

namespace init {

inline std::uint32_t crc32c(std::uint32_t sum, std::span<const std::uint8_t> bytes) noexcept {
    for (const std::uint8_t byte : bytes) {
        sum ^= byte;
        for (int bit = 0; bit < 8; ++bit)
            sum = sum >> 1 ^ ((sum & 1U) != 0 ? 0x82f63b78U : 0U);
    }
    return sum;
}

} // namespace init
