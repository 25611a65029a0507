// Many containers, and many callers at once.
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "bundle.hpp"

using ocirun_test::Bundle;
using ocirun_test::text;
namespace json = boost::json;

namespace {

struct Rig : Bundle {
    /// A configuration of its own group below the bundle's; its path.
    std::string configuration(const std::string& id) const {
        json::object own = config;
        own["linux"].as_object()["cgroupsPath"] = text(config.at("linux").at("cgroupsPath")) + id;
        own["process"].as_object()["args"] = json::array{"/probe", "exit", "3"};
        const std::string file = path() + "/" + id + ".json";
        std::ofstream(file) << json::serialize(own);
        return file;
    }
    base::ExitStatus quiet(const std::vector<std::string>& words) const {
        base::SpawnOptions options;
        options.directory = path();
        const base::UniqueFd null = base::open_file("/dev/null", O_RDWR);
        options.stdout_fd = null.get(); // a pipe would be held open by the container
        std::vector<std::string> command{OCIRUN, "--root", state_root()};
        command.insert(command.end(), words.begin(), words.end());
        return base::Child::spawn(command, options).wait();
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(scale, Rig)

// The callers share the parent group, which goes with the last container and is made anew with the next.
BOOST_AUTO_TEST_CASE(five_hundred_by_eight_callers_leave_nothing) {
    save();
    std::vector<std::thread> callers;
    std::atomic<int> failures{0};
    const auto expect = [&](bool success) {
        failures += success ? 0 : 1;
    };
    for (int caller = 0; caller < 8; ++caller)
        callers.emplace_back([&, caller] {
            for (int round = 0; round < 63; ++round) {
                const std::string id = "many-" + std::to_string(caller) + "-" + std::to_string(round);
                const std::string file = configuration(id);
                if (round % 2 == 0) {
                    expect(quiet({"run", "--config", file, id}).code == 3);
                } else {
                    expect(quiet({"create", "--config", file, id}).success());
                    expect(quiet({"delete", "--force", id}).success());
                }
            }
        });
    for (std::thread& caller : callers)
        caller.join();
    BOOST_TEST(failures == 0);
    BOOST_TEST(leftovers() == "");
}

BOOST_AUTO_TEST_CASE(a_list_of_a_thousand) {
    start_waiting();
    const std::string state = base::read_file(state_root() + "/box/state.json");
    for (int index = 0; index < 999; ++index) {
        const std::string id = "copy-" + std::to_string(index), directory = state_root() + "/" + id;
        std::filesystem::create_directory(directory);
        std::string own = state;
        own.replace(own.find("\"box\""), 5, "\"" + id + "\"");
        std::ofstream(directory + "/state.json") << own;
    }
    const auto begin = std::chrono::steady_clock::now();
    const base::RunResult result = ocirun({"list", "--format", "json"});
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    BOOST_TEST_MESSAGE("list of 1000 containers: " << took.count() << " ms");
    const json::value list = json::parse(result.output);
    BOOST_TEST(list.as_array().size() == 1000U);
    for (const json::value& entry : list.as_array())
        BOOST_TEST(text(entry.at("status")) == "running");
    for (int index = 0; index < 999; ++index)
        std::filesystem::remove_all(state_root() + "/copy-" + std::to_string(index));
}

// One that is made by several at once exists once, and the others say so.
BOOST_AUTO_TEST_CASE(an_id_is_taken_by_one) {
    args({"/probe", "wait"});
    save();
    std::vector<std::thread> callers;
    std::atomic<int> made{0};
    for (int caller = 0; caller < 8; ++caller)
        callers.emplace_back([&] { made += quiet({"create", "box"}).success() ? 1 : 0; });
    for (std::thread& caller : callers)
        caller.join();
    BOOST_TEST(made == 1);
    BOOST_TEST(text(state().at("status")) == "created");
}

// start, delete and kill of one container by several: one wins, the rest are told, and nothing is left.
BOOST_AUTO_TEST_CASE(operations_on_one_container_exclude_each_other) {
    args({"/probe", "wait"});
    save();
    for (int round = 0; round < 5; ++round) {
        BOOST_REQUIRE(quiet({"create", "box"}).success());
        std::vector<std::thread> callers;
        std::atomic<int> started{0};
        for (int caller = 0; caller < 3; ++caller)
            callers.emplace_back([&] { started += quiet({"start", "box"}).success() ? 1 : 0; });
        callers.emplace_back([&] { quiet({"kill", "box", "KILL"}); });
        callers.emplace_back([&] { quiet({"delete", "--force", "box"}); });
        for (std::thread& caller : callers)
            caller.join();
        BOOST_TEST(started <= 1);
        BOOST_TEST(quiet({"delete", "--force", "box"}).success());
        BOOST_TEST(leftovers() == "");
    }
}

BOOST_AUTO_TEST_SUITE_END()
