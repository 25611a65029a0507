// What the kernel counts for a container: cgroup v2 files and its network devices.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace engine::api {

struct BlockCounters {
    unsigned major = 0;
    unsigned minor = 0;
    std::uint64_t read_bytes = 0;
    std::uint64_t write_bytes = 0;
    std::uint64_t reads = 0;
    std::uint64_t writes = 0;
};

struct NetworkCounters {
    std::uint64_t rx_bytes = 0, rx_packets = 0, rx_errors = 0, rx_dropped = 0;
    std::uint64_t tx_bytes = 0, tx_packets = 0, tx_errors = 0, tx_dropped = 0;
};

struct ContainerCounters {
    std::map<std::string, std::uint64_t> cpu;    ///< cpu.stat; times in microseconds
    std::map<std::string, std::uint64_t> memory; ///< memory.stat
    std::uint64_t memory_usage = 0;
    std::uint64_t memory_limit = 0; ///< the host's memory when there is none
    std::uint64_t pids = 0;
    std::uint64_t pids_limit = 0; ///< 0: none
    std::vector<BlockCounters> blocks;
    std::map<std::string, NetworkCounters> networks; ///< by device; without "lo"
    std::uint64_t system_cpu = 0;                    ///< nanoseconds of all CPUs of the host, idle ones too
};

/// What cannot be read is 0: controllers may be missing. `pid` 0: no networks.
ContainerCounters read_counters(const std::string& cgroup, pid_t pid);

/// "key 123" lines. Others are left out.
std::map<std::string, std::uint64_t> parse_flat_keyed(std::string_view text);
/// io.stat: "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0".
std::vector<BlockCounters> parse_io_stat(std::string_view text);
/// /proc/PID/net/dev.
std::map<std::string, NetworkCounters> parse_net_dev(std::string_view text);

} // namespace engine::api
