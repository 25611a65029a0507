// Scheduling and clocks, seen from inside.
#include <boost/test/unit_test.hpp>

#include <sched.h>

#include <ctime>
#include <filesystem>
#include <fstream>

#include "bundle.hpp"

using ocirun_test::Bundle;
using ocirun_test::host_namespace;
using ocirun_test::text;
namespace json = boost::json;

namespace {

std::int64_t seconds(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return now.tv_sec;
}

/// Of an exec, whose program is the probe.
json::value exec_report(const Bundle& bundle, std::vector<std::string> words) {
    words.insert(words.begin(), "exec");
    const base::RunResult result = bundle.ocirun(words);
    BOOST_REQUIRE_MESSAGE(result.status.success(), result.errors);
    return json::parse(result.output);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(process, Bundle)

BOOST_AUTO_TEST_CASE(a_time_namespace_with_offsets) {
    for (const bool user : {false, true}) {
        if (user)
            use_user_namespace();
        linux_part()["namespaces"].as_array().push_back(json::parse(R"({"type": "time"})"));
        linux_part()["timeOffsets"] =
            json::parse(R"({"monotonic": {"secs": 86400, "nanosecs": 5}, "boottime": {"secs": 604800}})");
        const std::int64_t monotonic = seconds(CLOCK_MONOTONIC), boottime = seconds(CLOCK_BOOTTIME);
        report({"/proc/self/timens_offsets"});
        const json::object report = run();
        BOOST_TEST(text(report.at("namespaces").at("time")) != host_namespace("time"));
        const json::value& clocks = report.at("clocks");
        BOOST_TEST(clocks.at("monotonic").as_int64() >= monotonic + 86400);
        BOOST_TEST(clocks.at("monotonic").as_int64() < monotonic + 86400 + 600);
        BOOST_TEST(clocks.at("boottime").as_int64() >= boottime + 604800);
        BOOST_TEST(clocks.at("boottime").as_int64() < boottime + 604800 + 600);
    }
}

BOOST_AUTO_TEST_CASE(a_time_namespace_is_joined_by_exec_and_by_path) {
    linux_part()["namespaces"].as_array().push_back(json::parse(R"({"type": "time"})"));
    linux_part()["timeOffsets"] = json::parse(R"({"monotonic": {"secs": 86400}})");
    const std::int64_t monotonic = seconds(CLOCK_MONOTONIC);
    start_waiting();
    const json::value joined = exec_report(*this, {"box", "/probe", "report"});
    BOOST_TEST(joined.at("clocks").at("monotonic").as_int64() >= monotonic + 86400);

    const std::string path = "/proc/" + std::to_string(state().at("pid").as_int64()) + "/ns/time";
    linux_part().erase("timeOffsets");
    namespaces(R"([{"type": "mount"}, {"type": "pid"}, {"type": "uts"}, {"type": "network"},
                   {"type": "time", "path": ")" +
               path + R"("}])");
    linux_part()["cgroupsPath"] = text(linux_part()["cgroupsPath"]) + "2";
    report({});
    save();
    const base::RunResult second = ocirun({"run", "second"});
    BOOST_REQUIRE_MESSAGE(second.status.success(), second.errors);
    BOOST_TEST(json::parse(second.output).at("clocks").at("monotonic").as_int64() >= monotonic + 86400);
}

BOOST_AUTO_TEST_CASE(scheduler_and_io_priority) {
    process()["scheduler"] = json::parse(R"({"policy": "SCHED_BATCH", "nice": 7})");
    process()["ioPriority"] = json::parse(R"({"class": "IOPRIO_CLASS_BE", "priority": 6})");
    const json::value own = run().at("scheduling");
    BOOST_TEST(own.at("policy").as_int64() == SCHED_BATCH);
    BOOST_TEST(own.at("nice").as_int64() == 7);
    BOOST_TEST(own.at("io_priority").as_int64() == (2 << 13 | 6));
    // In a user namespace the process itself would not be allowed to.
    use_user_namespace();
    process()["scheduler"] = json::parse(R"({"policy": "SCHED_OTHER", "nice": -5})");
    process()["ioPriority"] = json::parse(R"({"class": "IOPRIO_CLASS_RT", "priority": 1})");
    const json::value mapped = run().at("scheduling");
    BOOST_TEST(mapped.at("policy").as_int64() == SCHED_OTHER);
    BOOST_TEST(mapped.at("nice").as_int64() == -5);
    BOOST_TEST(mapped.at("io_priority").as_int64() == (1 << 13 | 1));
}

BOOST_AUTO_TEST_CASE(real_time_schedulers) {
    process()["scheduler"] = json::parse(R"({"policy": "SCHED_FIFO", "priority": 11})");
    const json::value fifo = run().at("scheduling");
    BOOST_TEST(fifo.at("policy").as_int64() == SCHED_FIFO);
    BOOST_TEST(fifo.at("priority").as_int64() == 11);
    process()["scheduler"] =
        json::parse(R"({"policy": "SCHED_RR", "priority": 99, "flags": ["SCHED_FLAG_RESET_ON_FORK"]})");
    const json::value round_robin = run().at("scheduling");
    BOOST_TEST(round_robin.at("policy").as_int64() == (SCHED_RR | SCHED_RESET_ON_FORK));
    BOOST_TEST(round_robin.at("priority").as_int64() == 99);
    BOOST_TEST(round_robin.at("flags").as_int64() == 1);
    process()["scheduler"] =
        json::parse(R"({"policy": "SCHED_DEADLINE", "runtime": 2000000, "deadline": 30000000, "period": 40000000})");
    const json::value deadline = run().at("scheduling");
    BOOST_TEST(deadline.at("policy").as_int64() == 6);
    BOOST_TEST(deadline.at("runtime").as_int64() == 2'000'000);
    BOOST_TEST(deadline.at("deadline").as_int64() == 30'000'000);
    BOOST_TEST(deadline.at("period").as_int64() == 40'000'000);
    process()["scheduler"] = json::parse(R"({"policy": "SCHED_IDLE"})");
    process()["ioPriority"] = json::parse(R"({"class": "IOPRIO_CLASS_IDLE", "priority": 0})");
    const json::value idle = run().at("scheduling");
    BOOST_TEST(idle.at("policy").as_int64() == SCHED_IDLE);
    BOOST_TEST(idle.at("io_priority").as_int64() == 3 << 13);
    // Of an exec, whose process document has its own.
    process()["scheduler"] = json::parse(R"({"policy": "SCHED_FIFO", "priority": 3})");
    process()["ioPriority"] = json::parse(R"({"class": "IOPRIO_CLASS_BE", "priority": 2})");
    const std::string document = path() + "/process.json";
    std::ofstream(document) << json::serialize(process());
    process().erase("scheduler");
    process().erase("ioPriority");
    start_waiting();
    const json::value joined = exec_report(*this, {"--process", document, "box"}).at("scheduling");
    BOOST_TEST(joined.at("policy").as_int64() == SCHED_FIFO);
    BOOST_TEST(joined.at("priority").as_int64() == 3);
    BOOST_TEST(joined.at("io_priority").as_int64() == (2 << 13 | 2));
    // What the kernel refuses.
    process()["scheduler"] = json::parse(R"({"policy": "SCHED_DEADLINE", "runtime": 30000000, "deadline": 20000000})");
    std::ofstream(document) << json::serialize(process());
    BOOST_TEST(ocirun({"exec", "--process", document, "box"}).errors ==
               "ocirun: process.scheduler: sched_setattr: Invalid argument\n");
}

BOOST_AUTO_TEST_CASE(cpu_affinity_of_an_exec) {
    cpu_set_t own;
    CPU_ZERO(&own);
    BOOST_REQUIRE(sched_getaffinity(0, sizeof own, &own) == 0);
    int last = CPU_SETSIZE - 1;
    while (!CPU_ISSET(last, &own))
        --last;
    process()["execCPUAffinity"] = json::object{{"initial", std::to_string(last)}};
    start_waiting();
    BOOST_TEST(json::serialize(exec_report(*this, {"box", "/probe", "report"}).at("scheduling").at("cpus")) ==
               "[\"" + std::to_string(last) + "\"]");
    // The first process is not meant; the process document has its own.
    process()["args"] = json::array{"/probe", "report"};
    process()["execCPUAffinity"] = json::object{{"initial", "0"}, {"final", std::to_string(last)}};
    std::filesystem::create_directories(path() + "/log");
    const std::string document = path() + "/process.json";
    std::ofstream(document) << json::serialize(process());
    BOOST_TEST(json::serialize(exec_report(*this, {"--process", document, "box"}).at("scheduling").at("cpus")) ==
               "[\"" + std::to_string(last) + "\"]");
    process()["execCPUAffinity"] = json::object{{"final", "8000"}};
    std::ofstream(document) << json::serialize(process());
    const base::RunResult refused = ocirun({"exec", "--process", document, "box"});
    BOOST_TEST(refused.status.code == 1);
    BOOST_TEST(refused.errors.find("process.execCPUAffinity.final: sched_setaffinity: Invalid argument") !=
                   std::string::npos,
               refused.errors);
}

BOOST_AUTO_TEST_SUITE_END()
