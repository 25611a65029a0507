#include "ocirun_systemd/properties.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/cli.hpp"
#include "base/error.hpp"

namespace ocirun_systemd {

namespace {

constexpr std::uint64_t infinity = std::numeric_limits<std::uint64_t>::max(); // systemd's word for "max"

/// As the kernel reads numbers in these files: "max", or digits and one of K, M, G, T.
std::uint64_t number(std::string_view text) {
    if (text == "max")
        return infinity;
    std::uint64_t value = 0;
    const char* const end = text.data() + text.size();
    auto [rest, error] = std::from_chars(text.data(), end, value);
    if (error == std::errc{} && end - rest == 1) {
        constexpr std::string_view units = "KMGT";
        const std::size_t unit = units.find(static_cast<char>(*rest & ~0x20)); // small letters, too
        const unsigned shift = unit == std::string_view::npos ? 0 : 10 * static_cast<unsigned>(unit + 1);
        if (shift != 0 && value <= infinity >> shift) {
            value <<= shift;
            ++rest;
        }
    }
    if (error != std::errc{} || rest != end)
        throw base::Error("\"" + std::string(text) + "\" is no number");
    return value;
}

void append_number(sd_bus_message* message, const char* property, std::uint64_t value) {
    check_bus(sd_bus_message_append(message, "(sv)", property, "t", value), property);
}

/// "0-2,5" as the bits that systemd takes.
std::vector<std::uint8_t> bits_of(std::string_view list) {
    std::vector<std::uint8_t> bits;
    while (!list.empty()) {
        const std::size_t comma = list.find(',');
        const std::string_view range = list.substr(0, comma);
        list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
        const std::size_t dash = range.find('-');
        const std::uint64_t first = number(range.substr(0, dash));
        const std::uint64_t last = dash == std::string_view::npos ? first : number(range.substr(dash + 1));
        if (first > last || last > 8191)
            throw base::Error("\"" + std::string(range) + "\" is no range of CPUs or nodes");
        for (std::uint64_t bit = first; bit <= last; ++bit) {
            bits.resize(std::max<std::size_t>(bits.size(), bit / 8 + 1));
            bits[bit / 8] = static_cast<std::uint8_t>(bits[bit / 8] | 1U << bit % 8);
        }
    }
    return bits;
}

void append_bits(sd_bus_message* message, const char* property, std::string_view list) {
    const std::vector<std::uint8_t> bits = bits_of(list);
    check_bus(sd_bus_message_open_container(message, 'r', "sv"), property);
    check_bus(sd_bus_message_append(message, "s", property), property);
    check_bus(sd_bus_message_open_container(message, 'v', "ay"), property);
    check_bus(sd_bus_message_append_array(message, 'y', bits.data(), bits.size()), property);
    check_bus(sd_bus_message_close_container(message), property);
    check_bus(sd_bus_message_close_container(message), property);
}

/// cpu.max, "QUOTA PERIOD" in microseconds; without a quota (" PERIOD") there is none yet. systemd has the part of a
/// second, and the period. Rounded up to whole percents: systemd keeps no finer ones over a reload, cuts off the rest,
/// and takes less than one percent for no quota at all.
void append_quota(sd_bus_message* message, std::string_view value) {
    const std::size_t space = value.find(' ');
    const std::uint64_t quota = space == 0 ? infinity : number(value.substr(0, space));
    const std::uint64_t period = space == std::string_view::npos ? 100'000 : number(value.substr(space + 1));
    append_number(message, "CPUQuotaPeriodUSec", period);
    const bool none = period == 0 || quota > infinity / 1'000'000 - period;
    const std::uint64_t of_second = none ? infinity : (quota * 1'000'000 + period - 1) / period;
    constexpr std::uint64_t percent = 10'000;
    append_number(message, "CPUQuotaPerSecUSec", none ? infinity : (of_second + percent - 1) / percent * percent);
}

} // namespace

int check_bus(int result, const std::string& operation) {
    if (result < 0)
        throw base::Error(-result, operation);
    return result;
}

void append_limit(sd_bus_message* message, std::string_view write) {
    constexpr struct {
        std::string_view file;
        const char* property;
    } numbers[] = {
        {"memory.max", "MemoryMax"},          {"memory.high", "MemoryHigh"}, {"memory.low", "MemoryLow"},
        {"memory.min", "MemoryMin"},          {"cpu.weight", "CPUWeight"},   {"pids.max", "TasksMax"},
        {"memory.swap.max", "MemorySwapMax"},
    };
    const std::size_t equals = write.find('=');
    if (equals == std::string_view::npos)
        throw base::UsageError("\"" + std::string(write) + "\" is not of the form FILE=VALUE");
    const std::string_view file = write.substr(0, equals), value = write.substr(equals + 1);
    for (const auto& entry : numbers)
        if (entry.file == file)
            return append_number(message, entry.property, number(value));
    if (file == "cpu.max")
        append_quota(message, value);
    else if (file == "cpuset.cpus")
        append_bits(message, "AllowedCPUs", value);
    else if (file == "cpuset.mems")
        append_bits(message, "AllowedMemoryNodes", value);
    else if (file == "io.weight" && value.starts_with("default "))
        append_number(message, "IOWeight", number(value.substr(8)));
}

} // namespace ocirun_systemd
