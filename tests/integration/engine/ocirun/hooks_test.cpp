// Hooks: order, namespaces, their input, and what their failure does.
#include <boost/test/unit_test.hpp>

#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "bundle.hpp"

using ocirun_test::Bundle;
using ocirun_test::host_namespace;
using ocirun_test::text;
namespace json = boost::json;

namespace {

struct Fixture : Bundle {
    Fixture() {
        // Busybox runs the hooks inside, too.
        std::filesystem::create_directories(rootfs("/bin"));
        std::filesystem::copy_file("/bin/busybox", rootfs("/bin/busybox"));
        std::filesystem::create_directories(path() + "/log");
        add_mount(R"({"destination": "/log", "source": "log", "options": ["bind"]})");
    }
    /// `command` for busybox sh; LOG is the shared directory.
    void hook(const std::string& kind, const std::string& command, int timeout = 0) {
        const bool inside = kind == "startContainer";
        json::object entry{{"path", "/bin/busybox"},
                           {"args", json::array{"sh", "-c", command}},
                           {"env", json::array{"PATH=/bin:/usr/bin", "LOG=" + (inside ? "/log" : path() + "/log")}}};
        if (timeout != 0)
            entry["timeout"] = timeout;
        json::value& hooks = config["hooks"];
        if (!hooks.is_object())
            hooks = json::object{};
        json::value& list = hooks.as_object()[kind];
        if (!list.is_array())
            list = json::array{};
        list.as_array().push_back(std::move(entry));
    }
    /// By create and start, the last of which fails and leaves a stopped container.
    void start_waiting_fails(const std::string& message) {
        save();
        base::SpawnOptions options;
        options.directory = path();
        BOOST_REQUIRE(base::Child::spawn({OCIRUN, "--root", state_root(), "create", "box"}, options).wait().success());
        const base::RunResult started = ocirun({"start", "box"});
        BOOST_TEST(started.status.code == 1);
        BOOST_TEST(started.errors.find(message) != std::string::npos, started.errors);
        BOOST_TEST(text(state().at("status")) == "stopped");
    }
    std::string log(const std::string& name) { return base::read_file(path() + "/log/" + name); }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(hooks, Fixture)

BOOST_AUTO_TEST_CASE(order_namespaces_and_input) {
    const std::string all[] = {"prestart",       "createRuntime", "createContainer",
                               "startContainer", "poststart",     "poststop"};
    for (const std::string& kind : all)
        hook(kind, "busybox=/bin/busybox; cat > $LOG/" + kind + " 2>/dev/null || $busybox cat > $LOG/" + kind +
                       "; echo " + kind + " $($busybox readlink /proc/self/ns/mnt) $($busybox pwd) >> $LOG/order");
    config["annotations"] = json::parse(R"({"key": "value"})");
    const json::object report = run();

    std::istringstream lines(log("order"));
    std::string kind, mount_namespace, cwd;
    const std::string inside = text(report.at("namespaces").at("mnt"));
    for (const std::string& expected : all) {
        BOOST_REQUIRE(std::getline(lines >> kind >> mount_namespace, cwd));
        BOOST_TEST(kind == expected);
        const bool in_container = expected == "createContainer" || expected == "startContainer";
        BOOST_TEST(mount_namespace == (in_container ? inside : host_namespace("mnt")), expected);
        const json::value state = json::parse(log(expected));
        BOOST_TEST(text(state.at("id")) == "box");
        BOOST_TEST(text(state.at("bundle")) == path());
        BOOST_TEST(text(state.at("annotations").at("key")) == "value");
        BOOST_TEST((expected == "poststop") == (state.at("pid").as_int64() == 0), expected);
        BOOST_TEST(in_container == (state.at("pid").as_int64() == 1), expected); // the pid that it has there
        const std::string status = expected == "startContainer" ? "created"
                                   : expected == "poststart"    ? "running"
                                   : expected == "poststop"     ? "stopped"
                                                                : "creating";
        BOOST_TEST(text(state.at("status")) == status, expected);
    }
}

BOOST_AUTO_TEST_CASE(a_failing_hook_stops_everything_and_is_named) {
    for (const std::string kind : {"prestart", "createRuntime", "createContainer", "startContainer"}) {
        config.erase("hooks");
        hook(kind, "exit 0");
        hook(kind, "exit 3");
        hook("poststop", "echo x > $LOG/stopped");
        BOOST_TEST(run_error() == "ocirun: hooks." + kind + "[1]: /bin/busybox: exit code 3\n");
        BOOST_TEST(std::filesystem::remove(path() + "/log/stopped"), kind); // poststop ran all the same
    }
}

BOOST_AUTO_TEST_CASE(a_failure_at_start_is_told_when_a_joined_namespace_is_gone) {
    base::Child holder = base::Child::spawn({"unshare", "--net", "/bin/busybox", "sleep", "1000"});
    const std::string net = "/proc/" + std::to_string(holder.pid()) + "/ns/net";
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::filesystem::read_symlink(net).string() == host_namespace("net")) {
        BOOST_REQUIRE(std::chrono::steady_clock::now() < deadline);
        const timespec pause{0, 1'000'000};
        nanosleep(&pause, nullptr);
    }
    namespaces(R"([{"type": "mount"}, {"type": "pid"}, {"type": "uts"}, {"type": "network", "path": ")" + net +
               R"("}])");
    hook("startContainer", "exit 3");
    save();
    base::SpawnOptions options;
    options.directory = path();
    BOOST_REQUIRE(base::Child::spawn({OCIRUN, "--root", state_root(), "create", "box"}, options).wait().success());
    holder.kill(SIGKILL);
    holder.wait();
    BOOST_TEST(ocirun({"start", "box"}).errors == "ocirun: hooks.startContainer[0]: /bin/busybox: exit code 3\n");
}

// A SCHED_DEADLINE process may not fork; what runs before the program is not of its schedule.
BOOST_AUTO_TEST_CASE(the_schedule_is_the_programs_and_not_the_hooks) {
    process()["scheduler"] =
        json::parse(R"({"policy": "SCHED_DEADLINE", "runtime": 2000000, "deadline": 30000000, "period": 40000000})");
    hook("createContainer", "exit 0");
    hook("startContainer", "/bin/busybox grep ^policy /proc/self/sched > $LOG/policy; exit 0");
    for (const bool no_new_privileges : {true, false}) {
        process()["noNewPrivileges"] = no_new_privileges;
        BOOST_TEST(run().at("scheduling").at("policy").as_int64() == 6);
        if (const std::string policy = log("policy"); !policy.empty()) // not every kernel tells
            BOOST_TEST(policy.ends_with(" 0\n"), policy);
    }
    process()["scheduler"] = json::parse(R"({"policy": "SCHED_DEADLINE", "runtime": 5, "deadline": 4})");
    BOOST_TEST(run_error() == "ocirun: process.scheduler: sched_setattr: Invalid argument\n");
    start_waiting_fails("process.scheduler: sched_setattr: Invalid argument");
}

BOOST_AUTO_TEST_CASE(a_hook_that_hangs_is_killed_with_its_children) {
    for (const std::string kind : {"createRuntime", "createContainer"}) {
        config.erase("hooks");
        hook(kind, "busybox=/bin/busybox; $busybox sleep 1000 & $busybox sleep 1000", 1);
        BOOST_TEST(run_error() == "ocirun: hooks." + kind + "[0]: /bin/busybox: did not end in time\n");
    }
}

BOOST_AUTO_TEST_CASE(a_missing_hook_is_an_error) {
    config["hooks"] = json::parse(R"({"createRuntime": [{"path": "/no/such/hook"}]})");
    BOOST_TEST(run_error().find("hooks.createRuntime[0]: /no/such/hook: exit code 127") != std::string::npos);
}

// `start` reads the configuration again for them, and only when there is something to read it for.
BOOST_AUTO_TEST_CASE(late_hooks_of_another_command) {
    start_waiting();
    BOOST_TEST(base::read_file(state_root() + "/box/state.json").find(R"("startReadsConfig":false)") !=
               std::string::npos);
    BOOST_TEST(ocirun({"delete", "--force", "box"}).status.success());
    hook("poststart", "echo x > $LOG/started");
    hook("poststop", "echo x > $LOG/stopped");
    start_waiting();
    BOOST_TEST(log("started") == "x\n");
    BOOST_TEST(ocirun({"delete", "--force", "box"}).status.success());
    BOOST_TEST(log("stopped") == "x\n");
}

BOOST_AUTO_TEST_CASE(late_hooks_that_fail_change_nothing) {
    hook("poststart", "exit 9");
    hook("poststart", "exit 8"); // the others run all the same
    hook("poststop", "exit 9");
    hook("poststop", "exit 8");
    save();
    const base::RunResult result = ocirun({"run", "box"});
    BOOST_TEST(result.status.success());
    BOOST_TEST(result.errors.find("hooks.poststart[0]: /bin/busybox: exit code 9") != std::string::npos, result.errors);
    BOOST_TEST(result.errors.find("hooks.poststop[0]: /bin/busybox: exit code 9") != std::string::npos, result.errors);
    BOOST_TEST(result.errors.find("hooks.poststart[1]: /bin/busybox: exit code 8") != std::string::npos, result.errors);
    BOOST_TEST(result.errors.find("hooks.poststop[1]: /bin/busybox: exit code 8") != std::string::npos, result.errors);
}

BOOST_AUTO_TEST_SUITE_END()
