// Builds a log of a disk's writes as QEMU does.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "crash/write_log.hpp"

namespace crash_test {

class LogBuilder {
public:
    static constexpr std::uint64_t flush_flag = 1;
    static constexpr std::uint64_t fua_flag = 2;
    static constexpr std::uint64_t discard_flag = 4;
    static constexpr std::uint64_t mark_flag = 8;

    LogBuilder& entry(std::uint64_t sector, std::uint64_t sectors, std::uint64_t flags, const std::string& data = {}) {
        std::string head;
        for (const std::uint64_t word : {sector, sectors, flags, std::uint64_t{data.size()}})
            put(head, word, 8);
        head.resize(crash::sector_size);
        body_ += head + data;
        ++count_;
        return *this;
    }
    /// Each character fills a sector.
    LogBuilder& write(std::uint64_t sector, const std::string& sectors, std::uint64_t flags = 0) {
        std::string data;
        for (const char character : sectors)
            data.append(crash::sector_size, character);
        return entry(sector, sectors.size(), flags, data);
    }
    LogBuilder& flush() { return entry(0, 0, flush_flag); }

    std::string bytes(std::uint64_t magic = 0x6a736677736872, std::uint64_t count = UINT64_MAX,
                      std::uint32_t sector_size = crash::sector_size) const {
        std::string super;
        put(super, magic, 8);
        put(super, 1, 8);
        put(super, count == UINT64_MAX ? count_ : count, 8);
        put(super, sector_size, 4);
        super.resize(crash::sector_size);
        return super + body_;
    }

private:
    static void put(std::string& to, std::uint64_t value, unsigned bytes) {
        for (unsigned i = 0; i < bytes; ++i)
            to += static_cast<char>(value >> (8 * i) & 0xffU);
    }
    std::string body_;
    std::uint64_t count_ = 0;
};

inline std::span<const std::uint8_t> span_of(const std::string& bytes) {
    return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

} // namespace crash_test
