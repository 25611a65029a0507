// docker stats and docker top.
#include <unistd.h>

#include "api/cgroup_stats.hpp"
#include "api/json_answer.hpp"
#include "api/process_table.hpp"
#include "api/routes.hpp"
#include "api/time_text.hpp"

namespace engine::api {
namespace {

constexpr std::chrono::milliseconds sample_interval{1000};

struct Sample {
    std::optional<TimePoint> time; ///< nullopt: not running
    ContainerCounters counters;
};

Sample take_sample(const ContainerInfo& info) {
    if (!info.state.running())
        return {};
    return {std::chrono::system_clock::now(), read_counters(info.cgroup, info.state.pid)};
}

std::uint64_t value_of(const std::map<std::string, std::uint64_t>& values, const std::string& key) {
    const auto found = values.find(key);
    return found == values.end() ? 0 : found->second;
}

json::object cpu_json(const Sample& sample) {
    const auto& cpu = sample.counters.cpu;
    return json::object{{"cpu_usage", json::object{{"total_usage", value_of(cpu, "usage_usec") * 1000},
                                                   {"usage_in_kernelmode", value_of(cpu, "system_usec") * 1000},
                                                   {"usage_in_usermode", value_of(cpu, "user_usec") * 1000}}},
                        {"system_cpu_usage", sample.counters.system_cpu},
                        {"online_cpus", sample.time ? ::sysconf(_SC_NPROCESSORS_ONLN) : 0},
                        {"throttling_data", json::object{{"periods", value_of(cpu, "nr_periods")},
                                                         {"throttled_periods", value_of(cpu, "nr_throttled")},
                                                         {"throttled_time", value_of(cpu, "throttled_usec") * 1000}}}};
}

json::object memory_json(const Sample& sample) {
    if (!sample.time)
        return {};
    json::object stats;
    for (const auto& [key, value] : sample.counters.memory)
        stats[key] = value;
    return json::object{
        {"usage", sample.counters.memory_usage}, {"stats", std::move(stats)}, {"limit", sample.counters.memory_limit}};
}

json::object block_json(const Sample& sample) {
    json::array bytes;
    json::array operations;
    for (const BlockCounters& block : sample.counters.blocks) {
        const auto add = [&](json::array& list, const char* what, std::uint64_t value) {
            list.push_back(
                json::object{{"major", block.major}, {"minor", block.minor}, {"op", what}, {"value", value}});
        };
        add(bytes, "read", block.read_bytes);
        add(bytes, "write", block.write_bytes);
        add(operations, "read", block.reads);
        add(operations, "write", block.writes);
    }
    return json::object{{"io_service_bytes_recursive", std::move(bytes)},
                        {"io_serviced_recursive", std::move(operations)}};
}

json::object networks_json(const Sample& sample) {
    json::object networks;
    for (const auto& [name, counters] : sample.counters.networks)
        networks[name] = json::object{{"rx_bytes", counters.rx_bytes},   {"rx_packets", counters.rx_packets},
                                      {"rx_errors", counters.rx_errors}, {"rx_dropped", counters.rx_dropped},
                                      {"tx_bytes", counters.tx_bytes},   {"tx_packets", counters.tx_packets},
                                      {"tx_errors", counters.tx_errors}, {"tx_dropped", counters.tx_dropped}};
    return networks;
}

json::object stats_json(const ContainerInfo& info, const Sample& sample, const Sample& before) {
    json::object result{{"id", info.id},
                        {"name", "/" + info.name},
                        {"read", rfc3339(sample.time)},
                        {"preread", rfc3339(before.time)},
                        {"num_procs", 0},
                        {"storage_stats", json::object()},
                        {"cpu_stats", cpu_json(sample)},
                        {"precpu_stats", cpu_json(before)},
                        {"memory_stats", memory_json(sample)},
                        {"blkio_stats", block_json(sample)}};
    json::object pids;
    if (sample.time) {
        pids["current"] = sample.counters.pids;
        if (sample.counters.pids_limit > 0)
            pids["limit"] = sample.counters.pids_limit;
    }
    result["pids_stats"] = std::move(pids);
    // The host's own devices are not this container's.
    if (info.config->network_mode != "host" && !sample.counters.networks.empty())
        result["networks"] = networks_json(sample);
    return result;
}

/// Waits; true when the stream should end.
bool wait_or_end(const Call& call, std::chrono::milliseconds duration) {
    const auto deadline = std::chrono::steady_clock::now() + duration;
    while (std::chrono::steady_clock::now() < deadline) {
        if (call.ended())
            return true;
        ::usleep(50'000);
    }
    return call.ended();
}

void stats(Call& call) {
    ContainerInfo info = call.context.engine.get(call.parameter());
    const bool stream =
        call.request.query_value("stream", "1") != "0" && call.request.query_value("stream", "true") != "false";
    Sample before;
    Sample sample = take_sample(info);
    if (!stream) {
        // One answer: with a second sample to compare with, unless the client does that itself.
        if (!call.request.query_flag("one-shot") && sample.time) {
            if (wait_or_end(call, sample_interval))
                return;
            before = std::exchange(sample, take_sample(call.context.engine.get(info.id)));
        }
        send_json(call, 200, stats_json(info, sample, before));
        return;
    }
    call.response.begin(200, "application/json");
    while (true) {
        call.response.write(json::serialize(stats_json(info, sample, before)) + "\n");
        if (wait_or_end(call, sample_interval))
            break;
        const auto now = call.context.engine.find(info.id);
        if (!now)
            break;
        info = *now;
        before = std::exchange(sample, take_sample(info));
    }
    call.response.end();
}

void top(Call& call) {
    const ContainerInfo info = call.context.engine.get(call.parameter());
    if (!info.state.running())
        throw HttpError(409, fmt::format("container {} is not running", info.id));
    const std::string arguments = call.request.query_value("ps_args");
    if (!arguments.empty() && arguments != "-ef")
        throw HttpError(400, "ps_args: only -ef is supported, there is no ps program behind this");
    json::array rows;
    for (const auto& row : process_table(info.cgroup))
        rows.push_back(to_json(row));
    send_json(call, 200,
              json::object{{"Titles", json::array{"UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"}},
                           {"Processes", std::move(rows)}});
}

} // namespace

void add_process_routes(Router& router) {
    router.add("GET", "containers/{}/stats", stats);
    router.add("GET", "containers/{}/top", top);
}

} // namespace engine::api
