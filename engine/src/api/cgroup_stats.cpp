#include "api/cgroup_stats.hpp"

#include <sys/sysinfo.h>
#include <unistd.h>

#include <charconv>

#include "base/error.hpp"
#include "base/files.hpp"

namespace engine::api {
namespace {

std::string read_if_there(const std::string& path) {
    try {
        return base::read_file(path, 1024 * 1024);
    } catch (const base::Error&) {
        return {}; // the container went away, or the controller is not there
    }
}

std::string_view take_line(std::string_view& text) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

std::string_view take_word(std::string_view& line) {
    const std::size_t begin = std::min(line.find_first_not_of(" \t"), line.size());
    line.remove_prefix(begin);
    const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
    const std::string_view word = line.substr(0, end);
    line.remove_prefix(end);
    return word;
}

/// 0 for what is no number ("max").
std::uint64_t number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() ? value : 0;
}

std::uint64_t read_number(const std::string& path) {
    return number(read_if_there(path));
}

std::uint64_t host_memory() {
    struct sysinfo info {};
    ::sysinfo(&info);
    return std::uint64_t{info.totalram} * info.mem_unit;
}

/// All times of /proc/stat's first line: user nice system idle iowait irq softirq steal.
std::uint64_t system_cpu_nanoseconds() {
    const std::string stat = read_if_there("/proc/stat");
    std::string_view text = stat;
    std::string_view line = take_line(text);
    take_word(line);
    std::uint64_t ticks = 0;
    for (int i = 0; i < 8; ++i)
        ticks += number(take_word(line));
    return ticks * (1'000'000'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK)));
}

} // namespace

std::map<std::string, std::uint64_t> parse_flat_keyed(std::string_view text) {
    std::map<std::string, std::uint64_t> values;
    while (!text.empty()) {
        std::string_view line = take_line(text);
        const std::string_view key = take_word(line);
        const std::string_view value = take_word(line);
        if (!key.empty() && !value.empty())
            values[std::string(key)] = number(value);
    }
    return values;
}

std::vector<BlockCounters> parse_io_stat(std::string_view text) {
    std::vector<BlockCounters> blocks;
    while (!text.empty()) {
        std::string_view line = take_line(text);
        const std::string_view device = take_word(line);
        const std::size_t colon = device.find(':');
        if (colon == std::string_view::npos)
            continue;
        BlockCounters block{.major = static_cast<unsigned>(number(device.substr(0, colon))),
                            .minor = static_cast<unsigned>(number(device.substr(colon + 1)))};
        for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) {
            const std::size_t equals = word.find('=');
            const std::string_view key = word.substr(0, equals);
            const std::uint64_t value = equals == std::string_view::npos ? 0 : number(word.substr(equals + 1));
            if (key == "rbytes")
                block.read_bytes = value;
            else if (key == "wbytes")
                block.write_bytes = value;
            else if (key == "rios")
                block.reads = value;
            else if (key == "wios")
                block.writes = value;
        }
        blocks.push_back(block);
    }
    return blocks;
}

std::map<std::string, NetworkCounters> parse_net_dev(std::string_view text) {
    std::map<std::string, NetworkCounters> networks;
    while (!text.empty()) {
        std::string_view line = take_line(text);
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos)
            continue; // the two lines of headings
        std::string_view name = line.substr(0, colon);
        name.remove_prefix(std::min(name.find_first_not_of(' '), name.size()));
        line.remove_prefix(colon + 1);
        std::array<std::uint64_t, 16> columns{};
        for (std::uint64_t& column : columns)
            column = number(take_word(line));
        if (name != "lo")
            networks[std::string(name)] = {.rx_bytes = columns[0],
                                           .rx_packets = columns[1],
                                           .rx_errors = columns[2],
                                           .rx_dropped = columns[3],
                                           .tx_bytes = columns[8],
                                           .tx_packets = columns[9],
                                           .tx_errors = columns[10],
                                           .tx_dropped = columns[11]};
    }
    return networks;
}

ContainerCounters read_counters(const std::string& cgroup, pid_t pid) {
    ContainerCounters counters;
    counters.system_cpu = system_cpu_nanoseconds();
    if (!cgroup.empty()) {
        counters.cpu = parse_flat_keyed(read_if_there(cgroup + "/cpu.stat"));
        counters.memory = parse_flat_keyed(read_if_there(cgroup + "/memory.stat"));
        counters.memory_usage = read_number(cgroup + "/memory.current");
        counters.memory_limit = read_number(cgroup + "/memory.max");
        counters.pids = read_number(cgroup + "/pids.current");
        counters.pids_limit = read_number(cgroup + "/pids.max");
        counters.blocks = parse_io_stat(read_if_there(cgroup + "/io.stat"));
    }
    if (counters.memory_limit == 0)
        counters.memory_limit = host_memory();
    if (pid > 0)
        counters.networks = parse_net_dev(read_if_there(fmt::format("/proc/{}/net/dev", pid)));
    return counters;
}

} // namespace engine::api
