// updaterd and updatectl as programs on a rig's disk, with stand-ins for engined and init.
#pragma once
#include <boost/test/unit_test.hpp>

#include <csignal>
#include <thread>

#include "base/error.hpp"
#include "base/json.hpp"
#include "fakes.hpp"
#include "rig.hpp"

namespace updater_test {

using namespace std::chrono_literals;
namespace json = base::json;

struct Machine : Rig {
    Machine() : Machine(Image{}) {}
    explicit Machine(Image first) {
        first.signers = {&key};
        install(publish(first));
        write_host_yaml("  settle: 1s\n  trial: 1d\n");
        init = std::make_unique<FakeInit>(paths.init_socket);
        engine = std::make_unique<FakeEngine>(paths.engine_socket);
    }
    ~Machine() { stop(SIGKILL); }

    void spawn() {
        base::SpawnOptions options;
        options.environment = environment;
        daemon = base::Child::spawn(program, options);
    }
    void start() {
        spawn();
        until("updaterd answers", [&] { return control({"status"}).status.success(); });
    }
    void stop(int signal = SIGTERM) {
        if (!daemon)
            return;
        daemon.kill(signal);
        daemon.wait();
        daemon = {};
    }
    /// What init does at shutdown, and GRUB and the kernel after it.
    std::string reboot() {
        stop();
        const base::RunResult run = finalize();
        BOOST_TEST_INFO(run.output << run.errors);
        BOOST_TEST_REQUIRE(run.status.success());
        return power_cut();
    }
    base::RunResult finalize() const {
        std::vector<std::string> argv = program;
        argv.emplace_back("--finalize");
        base::RunOptions options;
        options.spawn.environment = environment;
        return base::run(argv, options);
    }
    std::string power_cut() {
        stop(SIGKILL);
        const std::string revision = boot();
        start();
        return revision;
    }
    base::RunResult control(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), {UPDATECTL, "--socket", paths.bus_socket});
        base::RunOptions options;
        options.timeout = 60s;
        return base::run(arguments, options);
    }
    std::string require_control(std::vector<std::string> arguments) const {
        const base::RunResult run = control(std::move(arguments));
        BOOST_TEST_INFO(run.output << run.errors);
        BOOST_TEST_REQUIRE(run.status.success());
        return run.output;
    }
    json::object status() const {
        const json::value document = base::parse_json(require_control({"status", "--json"}), "status");
        return document.as_object();
    }
    std::string state() const { return std::string(status().at("state").as_string()); }
    /// While something is under way other requests are refused.
    bool busy() const { return status().at("busy").as_bool(); }
    template <typename F>
    static void until(const char* what, F&& condition) {
        const auto deadline = std::chrono::steady_clock::now() + 60s;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > deadline)
                throw base::Error(std::string("timed out: ") + what);
            std::this_thread::sleep_for(50ms);
        }
    }
    std::string stage_and_reboot(const Image& image) {
        publish(image);
        require_control({"upgrade"});
        return reboot();
    }

    std::unique_ptr<FakeInit> init;
    std::unique_ptr<FakeEngine> engine;
    base::Child daemon;
    std::vector<std::string> program{UPDATERD, "--root", paths.root}; ///< updaterd, and what it runs with
    std::vector<std::string> environment;
};

} // namespace updater_test
