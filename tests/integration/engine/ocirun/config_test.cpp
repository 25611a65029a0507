// What config.json asks for, seen from inside.
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "bundle.hpp"

using ocirun_test::Bundle;
using ocirun_test::host_namespace;
using ocirun_test::text;
namespace json = boost::json;

namespace {

std::string status(const json::object& report, const std::string& field) {
    return text(report.at("status").at(field));
}

bool contains(const json::value& list, const std::string& wanted) {
    for (const json::value& one : list.as_array())
        if (text(one) == wanted)
            return true;
    return false;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(config, Bundle)

BOOST_AUTO_TEST_CASE(namespaces_are_its_own) {
    const json::object report = run();
    BOOST_TEST(report.at("pid").as_int64() == 1);
    BOOST_TEST(report.at("sid").as_int64() == 1);
    for (const char* name : {"mnt", "pid", "net", "ipc", "uts", "cgroup"})
        BOOST_TEST(text(report.at("namespaces").at(name)) != host_namespace(name), name);
    BOOST_TEST(text(report.at("namespaces").at("user")) == host_namespace("user"));
    BOOST_TEST(text(report.at("hostname")) == "box");
    BOOST_TEST(text(report.at("cgroup")).find("0::/\n") != std::string::npos);
    BOOST_TEST(!report.at("ignores_pipe").as_bool());
    BOOST_TEST(!report.at("blocks_term").as_bool());
}

BOOST_AUTO_TEST_CASE(namespaces_not_asked_for_are_the_hosts) {
    namespaces(R"([{"type": "mount"}])");
    config.erase("hostname");
    mounts().erase(mounts().begin() + 3); // sysfs needs a network namespace of its own, or the first
    const json::object report = run();
    for (const char* name : {"pid", "net", "ipc", "uts", "user", "cgroup"})
        BOOST_TEST(text(report.at("namespaces").at(name)) == host_namespace(name), name);
    BOOST_TEST(report.at("pid").as_int64() != 1);
}

BOOST_AUTO_TEST_CASE(capabilities_are_exactly_those) {
    process()["capabilities"] = json::parse(R"({"bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
        "permitted": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN"], "inheritable": ["CAP_KILL"],
        "ambient": ["CAP_KILL"]})");
    process()["user"] = json::parse(R"({"uid": 1000, "gid": 1000})");
    const json::object report = run();
    BOOST_TEST(status(report, "CapBnd") == "0000000000002021");
    BOOST_TEST(status(report, "CapInh") == "0000000000000020");
    BOOST_TEST(status(report, "CapAmb") == "0000000000000020");
    // After exec of a plain file by a user that is not root only the ambient ones are left.
    BOOST_TEST(status(report, "CapPrm") == "0000000000000020");
    BOOST_TEST(status(report, "CapEff") == "0000000000000020");
}

BOOST_AUTO_TEST_CASE(capabilities_not_given_are_none) {
    const json::object report = run();
    for (const char* set : {"CapBnd", "CapInh", "CapAmb", "CapPrm", "CapEff"})
        BOOST_TEST(status(report, set) == "0000000000000000", set);
}

BOOST_AUTO_TEST_CASE(capabilities_that_cannot_be_granted_are_a_warning) {
    process()["capabilities"] = json::parse(R"({"bounding": ["CAP_KILL", "CAP_LATER"], "permitted": ["CAP_KILL"],
        "effective": ["CAP_KILL"]})");
    report({});
    save();
    base::RunResult result = ocirun({"run", "box"});
    BOOST_REQUIRE_MESSAGE(result.status.success(), result.errors);
    BOOST_TEST(status(json::parse(result.output).as_object(), "CapEff") == "0000000000000020");
    BOOST_TEST(result.errors.find("unknown capability \"CAP_LATER\" is not granted") != std::string::npos);
    // To the log when there is one: standard error is the container's.
    result = ocirun({"--log", path() + "/log", "--log-format", "json", "run", "box"});
    BOOST_TEST(result.errors == "");
    const json::value line = json::parse(base::read_file(path() + "/log"));
    BOOST_TEST(text(line.at("level")) == "warning");
    BOOST_TEST(text(line.at("msg")).find("CAP_LATER") != std::string::npos);
    // A runtime that lacks one itself.
    result = base::run({"setpriv", "--bounding-set=-kill", "--inh-caps=-all", OCIRUN, "--root", state_root(), "run",
                        "--bundle", path(), "box"});
    BOOST_REQUIRE_MESSAGE(result.status.success(), result.errors);
    BOOST_TEST(status(json::parse(result.output).as_object(), "CapEff") == "0000000000000000");
    BOOST_TEST(result.errors.find("not granted, because the runtime itself lacks them: CAP_KILL") != std::string::npos,
               result.errors);
}

BOOST_AUTO_TEST_CASE(user_groups_and_umask) {
    process()["user"] = json::parse(R"({"uid": 1000, "gid": 1001, "additionalGids": [5, 7], "umask": 63})");
    make_file("/etc/passwd",
              "root:x:0:0::/root:/bin/sh\n" + std::string(9000, 'x') + "\nme:x:1000:1:x:/home/me:/bin/sh\n");
    const json::object report = run();
    BOOST_TEST(report.at("uid").as_int64() == 1000);
    BOOST_TEST(report.at("gid").as_int64() == 1001);
    BOOST_TEST(json::serialize(report.at("groups")) == R"(["5","7"])");
    BOOST_TEST(report.at("umask").as_int64() == 077);
    BOOST_TEST(contains(report.at("env"), "HOME=/home/me"));
}

BOOST_AUTO_TEST_CASE(environment_and_arguments) {
    process()["env"] = json::parse(R"(["PATH=/nowhere:/", "HOME=/given", "A=b=c", "EMPTY="])");
    process()["args"] = json::parse(R"(["probe", "report", "with space"])");
    const json::object report = run();
    BOOST_TEST(json::serialize(report.at("env")) == R"(["PATH=/nowhere:/","HOME=/given","A=b=c","EMPTY="])");
    BOOST_TEST(text(report.at("args").as_array()[0]) == "probe");
    BOOST_TEST(text(report.at("args").as_array()[2]) == "with space");
}

BOOST_AUTO_TEST_CASE(a_hostile_passwd_is_only_read) {
    std::filesystem::create_directories(rootfs("/etc"));
    BOOST_REQUIRE(mkfifo(rootfs("/etc/passwd").c_str(), 0600) == 0); // would block an open
    BOOST_TEST(contains(run().at("env"), "HOME=/"));
    // A sparse file costs the image nothing, and would keep us reading for as long as it likes.
    std::filesystem::remove(rootfs("/etc/passwd"));
    make_file("/etc/passwd", "");
    std::filesystem::resize_file(rootfs("/etc/passwd"), std::uintmax_t{8} << 40);
    BOOST_TEST(contains(run().at("env"), "HOME=/"));
}

BOOST_AUTO_TEST_CASE(a_configuration_that_is_no_file) {
    BOOST_REQUIRE(mkfifo((path() + "/fifo").c_str(), 0600) == 0); // would block an open, and with it SIGTERM
    const base::RunResult result = ocirun({"run", "--config", path() + "/fifo", "box"});
    BOOST_TEST(result.status.code == 1);
    BOOST_TEST(result.errors == "ocirun: " + path() + "/fifo: is no regular file\n");
}

BOOST_AUTO_TEST_CASE(working_directory_is_made) {
    process()["cwd"] = "/made/here";
    BOOST_TEST(text(run().at("cwd")) == "/made/here");
}

BOOST_AUTO_TEST_CASE(limits) {
    process()["rlimits"] = json::parse(R"([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
                                           {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}])");
    process()["oomScoreAdj"] = 77;
    const json::object report = run();
    BOOST_TEST(json::serialize(report.at("limits").at("RLIMIT_NOFILE")) == "[100,200]");
    BOOST_TEST(json::serialize(report.at("limits").at("RLIMIT_CORE")) == "[0,0]");
    BOOST_TEST(text(report.at("oom_score_adj")) == "77\n");
}

BOOST_DATA_TEST_CASE(seccomp_is_in_force_with_and_without_no_new_privileges,
                     boost::unit_test::data::make({true, false}), no_new_privileges) {
    process()["noNewPrivileges"] = no_new_privileges;
    linux_part()["seccomp"] = json::parse(R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77}]})");
    const json::object report = run();
    BOOST_TEST(status(report, "Seccomp") == "2");
    BOOST_TEST(status(report, "NoNewPrivs") == (no_new_privileges ? "1" : "0"));
    args({"/probe", "mkdir", "/tmp"});
    save();
    for (int again = 0; again < 2; ++again) // compiled, then from the cache
        BOOST_TEST(ocirun({"run", "box"}).output == "77\n");
}

BOOST_AUTO_TEST_CASE(names_and_sysctls) {
    config["domainname"] = "example.org";
    linux_part()["sysctl"] = json::parse(R"({"net.ipv4.ip_default_ttl": "42", "kernel.shmmni": "99"})");
    report({"/proc/sys/net/ipv4/ip_default_ttl", "/proc/sys/kernel/shmmni"});
    const json::object report = run();
    BOOST_TEST(text(report.at("domainname")) == "example.org");
    BOOST_TEST(text(report.at("files").at("/proc/sys/net/ipv4/ip_default_ttl").at("content")) == "42\n");
    BOOST_TEST(text(report.at("files").at("/proc/sys/kernel/shmmni").at("content")) == "99\n");
    BOOST_TEST(base::read_file("/proc/sys/net/ipv4/ip_default_ttl") != "42\n");
}

BOOST_AUTO_TEST_CASE(personality) {
    linux_part()["personality"] = json::parse(R"({"domain": "LINUX32"})");
    BOOST_TEST(text(run().at("machine")) == "i686");
}

BOOST_AUTO_TEST_CASE(devices_and_their_rules) {
    linux_part()["devices"] = json::parse(R"([
        {"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11, "fileMode": 416, "uid": 3, "gid": 4},
        {"path": "/dev/mem", "type": "c", "major": 1, "minor": 1},
        {"path": "/deep/er/pipe", "type": "p", "fileMode": 384}])");
    linux_part()["resources"] = json::parse(R"({"devices": [{"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"}]})");
    process()["capabilities"] = json::parse(R"({"bounding": ["CAP_DAC_OVERRIDE", "CAP_SYS_RAWIO", "CAP_SYSLOG"],
        "permitted": ["CAP_DAC_OVERRIDE", "CAP_SYS_RAWIO", "CAP_SYSLOG"],
        "effective": ["CAP_DAC_OVERRIDE", "CAP_SYS_RAWIO", "CAP_SYSLOG"]})");
    report({"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/kmsg", "/dev/mem",
            "/deep/er/pipe", "/dev/ptmx", "/dev/fd"});
    const json::object report = run();
    const json::object& files = report.at("files").as_object();
    BOOST_TEST(text(files.at("/dev/null").at("device")) == "1:3");
    BOOST_TEST(files.at("/dev/null").at("write").as_int64() == 0);
    BOOST_TEST(files.at("/dev/null").at("mode").as_int64() == (S_IFCHR | 0666));
    BOOST_TEST(text(files.at("/dev/urandom").at("device")) == "1:9");
    BOOST_TEST(files.at("/dev/kmsg").at("mode").as_int64() == (S_IFCHR | 0640));
    BOOST_TEST(files.at("/dev/kmsg").at("uid").as_int64() == 3);
    BOOST_TEST(files.at("/dev/kmsg").at("gid").as_int64() == 4);
    BOOST_TEST(files.at("/dev/kmsg").at("open").as_int64() == 0);
    BOOST_TEST(files.at("/dev/kmsg").at("write").as_int64() == EPERM); // reading only
    BOOST_TEST(text(files.at("/dev/mem").at("device")) == "1:1");
    BOOST_TEST(files.at("/dev/mem").at("open").as_int64() == EPERM);
    BOOST_TEST(S_ISFIFO(files.at("/deep/er/pipe").at("mode").as_int64()));
    BOOST_TEST(text(files.at("/dev/ptmx").at("link")) == "pts/ptmx");
    BOOST_TEST(text(files.at("/dev/fd").at("link")) == "/proc/self/fd");
}

BOOST_AUTO_TEST_CASE(a_user_namespace_with_mappings) {
    use_user_namespace();
    process()["user"] = json::parse(R"({"uid": 5, "gid": 6, "additionalGids": [7]})");
    process()["rlimits"] = json::parse(R"([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}])");
    report({"/proc/self/uid_map", "/proc/self/gid_map", "/dev/null"});
    const json::object report = run();
    BOOST_TEST(text(report.at("namespaces").at("user")) != host_namespace("user"));
    BOOST_TEST(report.at("uid").as_int64() == 5);
    BOOST_TEST(json::serialize(report.at("groups")) == R"(["7"])");
    BOOST_TEST(text(report.at("files").at("/proc/self/uid_map").at("content")).find("100000      65536") !=
               std::string::npos);
    BOOST_TEST(text(report.at("files").at("/proc/self/gid_map").at("content")).find("200000      65536") !=
               std::string::npos);
    BOOST_TEST(text(report.at("files").at("/dev/null").at("device")) == "1:3");
    BOOST_TEST(report.at("files").at("/dev/null").at("write").as_int64() == 0);
}

BOOST_AUTO_TEST_CASE(namespaces_joined_by_path) {
    const pid_t holder = fork();
    if (holder == 0) {
        if (unshare(CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC) < 0)
            _exit(1);
        kill(getpid(), SIGSTOP); // tells that it is ready
        for (;;)
            pause();
    }
    int wait_status = 0;
    BOOST_REQUIRE(waitpid(holder, &wait_status, WUNTRACED) == holder);
    BOOST_REQUIRE(WIFSTOPPED(wait_status));
    const std::string base = "/proc/" + std::to_string(holder) + "/ns/";
    namespaces(R"([{"type": "mount"}, {"type": "pid"}, {"type": "network", "path": ")" + base +
               R"(net"}, {"type": "uts", "path": ")" + base + R"(uts"}, {"type": "ipc", "path": ")" + base +
               R"(ipc"}])");
    const json::object report = run();
    for (const char* name : {"net", "uts", "ipc"})
        BOOST_TEST(text(report.at("namespaces").at(name)) == std::string(std::filesystem::read_symlink(base + name)));
    kill(holder, SIGKILL);
    waitpid(holder, nullptr, 0);
}

// As podman does for the containers of a pod.
BOOST_AUTO_TEST_CASE(a_new_pid_namespace_in_the_user_namespace_of_another_container) {
    use_user_namespace();
    start_waiting();
    const std::string base = "/proc/" + std::to_string(state().at("pid").as_int64()) + "/ns/";
    namespaces(R"([{"type": "mount"}, {"type": "pid"}, {"type": "uts"}, {"type": "network", "path": ")" + base +
               R"(net"}, {"type": "user", "path": ")" + base + R"(user"}])");
    linux_part()["uidMappings"] = json::parse(R"([{"containerID": 0, "hostID": 0, "size": 1}])");
    linux_part()["gidMappings"] = json::parse(R"([{"containerID": 0, "hostID": 0, "size": 1}])");
    linux_part()["cgroupsPath"] = text(linux_part()["cgroupsPath"]) + "2";
    process()["rlimits"] = json::parse(R"([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}])");
    report({"/proc/self/uid_map"});
    save();
    const base::RunResult result = ocirun({"run", "second"});
    BOOST_REQUIRE_MESSAGE(result.status.success(), result.errors);
    const json::value report = json::parse(result.output);
    BOOST_TEST(report.at("pid").as_int64() == 1);
    BOOST_TEST(report.at("uid").as_int64() == 0);
    for (const char* name : {"user", "net"})
        BOOST_TEST(text(report.at("namespaces").at(name)) == std::string(std::filesystem::read_symlink(base + name)));
    BOOST_TEST(text(report.at("namespaces").at("pid")) != std::string(std::filesystem::read_symlink(base + "pid")));
    BOOST_TEST(text(report.at("files").at("/proc/self/uid_map").at("content")).find("100000      65536") !=
               std::string::npos);
    BOOST_TEST(json::serialize(report.at("limits").at("RLIMIT_NOFILE")) == "[100,200]");
}

BOOST_AUTO_TEST_CASE(the_namespaces_of_another_container) {
    start_waiting();
    const std::string base = "/proc/" + std::to_string(state().at("pid").as_int64()) + "/ns/";
    namespaces(R"([{"type": "mount"}, {"type": "pid", "path": ")" + base + R"(pid"}])");
    config.erase("hostname");
    mounts().erase(mounts().begin() + 3);
    linux_part()["cgroupsPath"] = text(linux_part()["cgroupsPath"]) + "2";
    report({});
    save();
    const base::RunResult result = ocirun({"run", "second"});
    BOOST_REQUIRE_MESSAGE(result.status.success(), result.errors);
    const json::value report = json::parse(result.output);
    BOOST_TEST(text(report.at("namespaces").at("pid")) == std::string(std::filesystem::read_symlink(base + "pid")));
    BOOST_TEST(report.at("pid").as_int64() > 1);
}

BOOST_AUTO_TEST_SUITE_END()
