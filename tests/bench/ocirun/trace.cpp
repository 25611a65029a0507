#include "trace.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <map>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "../../integration/engine/ocirun/fault_trace.hpp"
#include "base/files.hpp"
#include "base/process.hpp"

namespace ocirun_bench {

namespace {

using ocirun_test::FaultTrace;

std::uint64_t now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(time.tv_nsec);
}

/// The points of one run in order, "begin" and "end" around them.
std::vector<std::pair<std::string, std::uint64_t>> one_run(const std::string& directory) {
    const std::string file = directory + "/trace";
    std::filesystem::remove(file);
    base::SpawnOptions options;
    options.environment = {"OCIRUN_TRACE=" + file};
    std::vector<std::pair<std::string, std::uint64_t>> points{{"begin", now()}};
    base::Child::spawn(
        {OCIRUN_FAULTS, "--root", directory + "/trace-root", "run", "--bundle", directory + "/filter", "traced"},
        options)
        .wait();
    const std::uint64_t end = now();
    auto trace = std::make_unique<FaultTrace>();
    const std::string content = base::read_file(file);
    std::memcpy(trace.get(), content.data(), std::min(content.size(), sizeof *trace));
    for (unsigned index = 0; index < std::min(trace->count, FaultTrace::most); ++index)
        points.emplace_back(trace->entries[index].point, trace->entries[index].nanoseconds);
    std::stable_sort(points.begin() + 1, points.end(),
                     [](const auto& a, const auto& b) { return a.second < b.second; });
    points.emplace_back("end", end);
    return points;
}

} // namespace

std::string trace_of_run(const std::string& directory, int rounds) {
    std::vector<std::string> order;
    std::map<std::string, std::vector<std::uint64_t>> durations;
    for (int round = 0; round < rounds; ++round) {
        const auto points = one_run(directory);
        int main_count = 0;
        for (std::size_t index = 0; index + 1 < points.size(); ++index) {
            std::string name = points[index].first;
            if (name == "main") // twice where the program protects itself by running again
                name += ++main_count > 1 ? ", again" : "";
            if (std::find(order.begin(), order.end(), name) == order.end())
                order.push_back(name);
            durations[name].push_back(points[index + 1].second - points[index].second);
        }
    }
    std::string table = "from each point of a run with a cached filter to the next of either process, median in us\n";
    for (const std::string& name : order) {
        std::vector<std::uint64_t>& values = durations[name];
        std::sort(values.begin(), values.end());
        table += fmt::format("{:<22}{:>8.0f}\n", name, static_cast<double>(values[values.size() / 2]) / 1000);
    }
    return table;
}

} // namespace ocirun_bench
