// Every point that a command passes is made to fail, and the process killed there: nothing may be left behind.
#include <boost/test/unit_test.hpp>

#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <set>

#include "bundle.hpp"
#include "fault_trace.hpp"

using ocirun_test::Bundle;
using ocirun_test::FaultTrace;
using ocirun_test::text;
namespace json = boost::json;

namespace {

struct Rig : Bundle {
    Rig() {
        // Something for every stage to do.
        linux_part()["maskedPaths"] = json::parse(R"(["/proc/kcore"])");
        linux_part()["readonlyPaths"] = json::parse(R"(["/proc/sys"])");
        linux_part()["sysctl"] = json::parse(R"({"net.ipv4.ip_forward": "1"})");
        linux_part()["resources"] = json::parse(R"({"devices": [{"allow": false, "access": "rwm"}]})");
        linux_part()["seccomp"] = json::parse(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"],
                                                  "action": "SCMP_ACT_ERRNO"}]})");
        process()["capabilities"] = json::parse(R"({"bounding": ["CAP_KILL"]})");
        config["hooks"] = json::parse(R"({"createRuntime": [{"path": "/bin/true"}],
                                          "poststart": [{"path": "/bin/true"}], "poststop": [{"path": "/bin/true"}]})");
        args({"/probe", "wait"});
        save();
        std::filesystem::copy_file(OCIRUN_FAULTS, program()); // its processes are looked for by their program
    }
    std::string program() const { return path() + "/ocirun_faults"; }

    base::ExitStatus faults(const std::vector<std::string>& words, const std::string& variable) const {
        base::SpawnOptions options;
        options.directory = path();
        options.environment = {variable};
        const base::UniqueFd null = base::open_file("/dev/null", O_RDWR);
        options.stdout_fd = null.get();
        options.stderr_fd = null.get();
        std::vector<std::string> command{program(), "--root", state_root()};
        command.insert(command.end(), words.begin(), words.end());
        return base::Child::spawn(command, options).wait();
    }

    /// The points that the command passes.
    std::set<std::string> points(const std::vector<std::string>& words) const {
        const std::string file = path() + "/trace";
        std::filesystem::remove(file);
        BOOST_REQUIRE(faults(words, "OCIRUN_TRACE=" + file).success());
        const std::string content = base::read_file(file);
        BOOST_REQUIRE(content.size() == sizeof(FaultTrace));
        auto trace = std::make_unique<FaultTrace>();
        std::memcpy(trace.get(), content.data(), content.size());
        BOOST_REQUIRE(trace->count <= FaultTrace::most);
        std::set<std::string> names;
        for (unsigned index = 0; index < trace->count; ++index)
            names.insert(trace->entries[index].point);
        names.erase("main");
        return names;
    }

    /// Those that run the probe of this bundle, or ocirun_faults; waits for the ends that are under way.
    std::string processes() const {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        for (;;) {
            const std::string now = programs({rootfs("/probe"), program()});
            if (now == expected_ || std::chrono::steady_clock::now() > deadline)
                return now;
            const timespec pause{0, 2'000'000};
            nanosleep(&pause, nullptr);
        }
    }
    void expect_processes() { expected_ = programs({rootfs("/probe")}); }

    void remove() const { ocirun({"delete", "--force", "box"}); }
    const std::string& expected() const { return expected_; }

private:
    static std::string programs(const std::vector<std::string>& files) {
        std::set<std::pair<dev_t, ino_t>> wanted;
        struct stat status {};
        for (const std::string& file : files)
            if (stat(file.c_str(), &status) == 0)
                wanted.emplace(status.st_dev, status.st_ino);
        std::set<std::string> pids;
        for (const auto& entry : std::filesystem::directory_iterator("/proc"))
            if (stat((entry.path() / "exe").c_str(), &status) == 0 && wanted.contains({status.st_dev, status.st_ino}))
                pids.insert(entry.path().filename());
        std::string text;
        for (const std::string& pid : pids)
            text += pid + " ";
        return text;
    }
    std::string expected_;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(fault, Rig)

BOOST_AUTO_TEST_CASE(create_undoes_everything_at_every_point) {
    const std::set<std::string> names = points({"create", "box"});
    remove();
    for (const char* expected : {"claim", "make_cgroup", "limit_cgroup", "start_child", "namespaces", "mounts",
                                 "change_root", "created", "pid_file"})
        BOOST_TEST(names.contains(expected), expected << " is not passed");
    BOOST_TEST(names.size() >= 28U);
    for (const std::string& name : names) {
        BOOST_TEST_CONTEXT("fault at " << name) {
            BOOST_TEST(faults({"create", "--pid-file", path() + "/pid", "box"}, "OCIRUN_FAULT=" + name).code == 1);
            BOOST_TEST(leftovers() == "");
            BOOST_TEST(processes() == "");
            BOOST_TEST(!std::filesystem::exists(path() + "/pid"));
        }
    }
    // And a fault is no more than that: afterwards the container can be made.
    start_waiting();
}

BOOST_AUTO_TEST_CASE(start_fails_at_every_point_and_delete_cleans_up) {
    BOOST_REQUIRE(faults({"create", "box"}, "OCIRUN_FAULT=").success());
    std::set<std::string> names = points({"start", "box"});
    remove();
    // Behind `created` are the stages of the container's process, which `create` starts.
    for (const char* stage :
         {"environment", "seccomp", "identity", "capabilities", "start_hooks", "seccomp_late", "exec"})
        names.insert(stage);
    for (const std::string& name : names) {
        BOOST_TEST_CONTEXT("fault at " << name) {
            const std::string variable = "OCIRUN_FAULT=" + name;
            BOOST_REQUIRE(faults({"create", "box"}, variable).success());
            BOOST_TEST(faults({"start", "box"}, variable).code == 1);
            BOOST_TEST(ocirun({"delete", "--force", "box"}).status.success());
            BOOST_TEST(leftovers() == "");
            BOOST_TEST(processes() == "");
        }
    }
}

BOOST_AUTO_TEST_CASE(exec_leaves_no_process_at_any_point) {
    start_waiting();
    expect_processes();
    BOOST_REQUIRE(expected() != "");
    std::set<std::string> names = points({"exec", "box", "/probe"});
    BOOST_TEST(names.contains("joined"));
    BOOST_TEST(names.contains("namespaces"));
    for (const std::string& name : names) {
        BOOST_TEST_CONTEXT("fault at " << name) {
            BOOST_TEST(
                faults({"exec", "--pid-file", path() + "/pid", "box", "/probe", "wait"}, "OCIRUN_FAULT=" + name).code ==
                1);
            BOOST_TEST(processes() == expected());
        }
    }
}

// The runtime is killed at each point: `delete --force` removes what it left, also when that is killed in between.
BOOST_AUTO_TEST_CASE(delete_by_force_after_a_kill_at_every_point) {
    const std::set<std::string> created = points({"create", "box"});
    remove();
    for (const std::string& name : created) {
        BOOST_TEST_CONTEXT("kill at " << name) {
            const base::ExitStatus status = faults({"create", "box"}, "OCIRUN_FAULT=" + name + ":kill");
            BOOST_TEST(!status.success()); // of the stages it is the container's process that is killed
            BOOST_TEST(ocirun({"delete", "--force", "box"}).status.success());
            BOOST_TEST(leftovers() == "");
            BOOST_TEST(processes() == "");
        }
    }
    for (const char* name : {"finish", "remove_cgroup", "remove_state"}) {
        BOOST_TEST_CONTEXT("kill at " << name) {
            BOOST_REQUIRE(faults({"create", "box"}, "OCIRUN_FAULT=").success());
            BOOST_TEST(faults({"delete", "--force", "box"}, std::string("OCIRUN_FAULT=") + name + ":kill").signal ==
                       SIGKILL);
            BOOST_TEST(ocirun({"delete", "--force", "box"}).status.success());
            BOOST_TEST(leftovers() == "");
            BOOST_TEST(processes() == "");
        }
    }
}

// The program that ships has no way to arm a point.
BOOST_AUTO_TEST_CASE(the_shipped_program_is_inert) {
    base::RunOptions options;
    options.spawn.environment = {"OCIRUN_FAULT=claim", "OCIRUN_TRACE=" + path() + "/trace"};
    args({"/probe", "exit", "3"});
    save();
    BOOST_TEST(ocirun({"run", "box"}, options).status.code == 3);
    BOOST_TEST(!std::filesystem::exists(path() + "/trace"));
}

BOOST_AUTO_TEST_SUITE_END()
