// Failures at every stage: the message names the object, and nothing is left behind.
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <signal.h>

#include <filesystem>
#include <fstream>

#include "bundle.hpp"

using ocirun_test::Bundle;
using ocirun_test::text;
namespace json = boost::json;

namespace {

struct Case {
    const char* name;
    void (*change)(Bundle&);
    const char* message;
};
std::ostream& operator<<(std::ostream& out, const Case& one) {
    return out << one.name;
}

const Case cases[] = {
    {"root", [](Bundle& b) { b.config["root"] = json::parse(R"({"path": "nothing"})"); },
     "/nothing: open: No such file or directory"},
    {"mount type", [](Bundle& b) { b.add_mount(R"({"destination": "/x", "type": "nosuchfs"})"); },
     "mounts[4]: mount nosuchfs on /x: fsopen: No such device"},
    {"mount option",
     [](Bundle& b) { b.add_mount(R"({"destination": "/x", "type": "tmpfs", "options": ["wings=2"]})"); },
     "mounts[4]: mount tmpfs on /x: fsconfig: Invalid argument"},
    {"bind source", [](Bundle& b) { b.add_mount(R"({"destination": "/x", "source": "/no", "options": ["bind"]})"); },
     "mounts[4]: bind /no on /x: open_tree: No such file or directory"},
    {"bind of a file on a directory",
     [](Bundle& b) { b.add_mount(R"({"destination": "/sys", "source": "config.json", "options": ["bind"]})"); },
     "config.json on /sys: make path: Is a directory"},
    {"destination below a file", [](Bundle& b) { b.add_mount(R"({"destination": "/probe/x", "type": "tmpfs"})"); },
     "mounts[4]: mount tmpfs on /probe/x: make path: Not a directory"},
    {"device",
     [](Bundle& b) {
         b.linux_part()["devices"] = json::parse(R"([{"path": "/probe/x", "type": "c", "major": 1, "minor": 3}])");
     },
     "devices[6]: /probe/x: make path: Not a directory"},
    {"device where the image has a file",
     [](Bundle& b) {
         b.linux_part()["devices"] = json::parse(R"([{"path": "/probe", "type": "c", "major": 1, "minor": 3}])");
     },
     "devices[6]: /probe: the image has something else there"},
    {"device that the host does not have",
     [](Bundle& b) {
         b.use_user_namespace();
         b.linux_part()["devices"] = json::parse(R"([{"path": "/dev/zero", "type": "c", "major": 1, "minor": 11}])");
     },
     "devices[5]: /dev/zero: what the host has there is another device"},
    {"sysctl of a joined namespace that is the host's",
     [](Bundle& b) {
         b.namespaces(R"([{"type": "mount"}, {"type": "network", "path": "/proc/self/ns/net"}])");
         b.config.erase("hostname");
         b.linux_part()["sysctl"] = json::parse(R"({"net.ipv4.ip_forward": "1"})");
     },
     "linux.sysctl: net/ipv4/ip_forward: would change the host: /proc/self/ns/net is the runtime's own network "
     "namespace"},
    {"hostname in a joined namespace that is the host's",
     [](Bundle& b) { b.namespaces(R"([{"type": "mount"}, {"type": "uts", "path": "/proc/self/ns/uts"}])"); },
     "hostname: would change the host: /proc/self/ns/uts is the runtime's own uts namespace"},
    {"sysctl", [](Bundle& b) { b.linux_part()["sysctl"] = json::parse(R"({"net.no.such": "1"})"); },
     "linux.sysctl[0]: net/no/such: open: No such file or directory"},
    {"cwd", [](Bundle& b) { b.process()["cwd"] = "/probe"; }, "process.cwd: /probe: make path: Not a directory"},
    {"rlimit",
     [](Bundle& b) {
         b.process()["rlimits"] = json::parse(R"([{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1099511627776}])");
     },
     "process.rlimits[0]: setrlimit: Operation not permitted"},
    {"program", [](Bundle& b) { b.args({"/nothing"}); }, "exec \"/nothing\": No such file or directory"},
    {"program in PATH", [](Bundle& b) { b.args({"nothing"}); }, "exec \"nothing\": executable file not found in $PATH"},
    {"program that is none", [](Bundle& b) { b.args({"/proc/version"}); }, "exec \"/proc/version\": Permission denied"},
    {"joined namespace",
     [](Bundle& b) { b.namespaces(R"([{"type": "mount"}, {"type": "uts", "path": "/dev/null"}])"); },
     "linux.namespaces[1].path: /dev/null is no uts namespace"},
    {"namespace of another type",
     [](Bundle& b) { b.namespaces(R"([{"type": "mount"}, {"type": "uts", "path": "/proc/self/ns/net"}])"); },
     "linux.namespaces[1].path: /proc/self/ns/net is no uts namespace, but one of type network"},
    {"time offset",
     [](Bundle& b) {
         b.namespaces(R"([{"type": "mount"}, {"type": "time"}, {"type": "uts"}])");
         b.linux_part()["timeOffsets"] = json::parse(R"({"boottime": {"secs": -99999999}})"); // before the boot
     },
     "linux.namespaces: write linux.timeOffsets: "},
    {"real-time priority",
     [](Bundle& b) {
         b.process()["scheduler"] = json::parse(R"({"policy": "SCHED_DEADLINE", "runtime": 5, "deadline": 4})");
     },
     "process.scheduler: sched_setattr: "},
    {"id mapping of a file system that has none",
     [](Bundle& b) {
         b.add_mount(R"({"destination": "/x", "source": "/proc", "options": ["bind"],
             "uidMappings": [{"containerID": 0, "hostID": 5, "size": 1}],
             "gidMappings": [{"containerID": 0, "hostID": 5, "size": 1}]})");
     },
     "mounts[4]: bind /proc on /x id-mapped: mount_setattr: does the file system support id-mapped mounts?"},
    {"remount of what is no mount",
     [](Bundle& b) {
         std::filesystem::create_directories(b.rootfs("/x"));
         b.add_mount(R"({"destination": "/x", "options": ["remount", "ro"]})");
     },
     "mounts[4]: remount /x: mount_setattr: Invalid argument"},
    {"mappings",
     [](Bundle& b) {
         b.namespaces(R"([{"type": "mount"}, {"type": "uts"}, {"type": "user"}])");
         b.linux_part()["uidMappings"] = json::parse(R"([{"containerID": 0, "hostID": 4294967295, "size": 5}])");
         b.linux_part()["gidMappings"] = json::parse(R"([{"containerID": 0, "hostID": 0, "size": 5}])");
     },
     "linux.uidMappings: write /proc/"},
    {"unified", [](Bundle& b) { b.linux_part()["resources"] = json::parse(R"({"unified": {"nosuch.max": "1"}})"); },
     "linux.resources.unified.nosuch.max: cgroup controller \"nosuch\" is not available"},
    {"apparmor", [](Bundle& b) { b.process()["apparmorProfile"] = "no-such-profile"; }, "process.apparmorProfile: "},
    {"syntax", [](Bundle& b) { b.config["mounts"] = json::parse("5"); }, "config.json: mounts: expected an array"},
    {"nothing to run", [](Bundle& b) { b.config.erase("process"); }, "config.json: \"process\" is missing"},
};

} // namespace

BOOST_AUTO_TEST_SUITE(failure)

BOOST_DATA_TEST_CASE_F(Bundle, a_failure_names_its_object_and_leaves_nothing, boost::unit_test::data::make(cases),
                       one) {
    one.change(*this);
    const std::string message = run_error();
    BOOST_TEST(message.find(one.message) != std::string::npos, message);
    // The same by create: a container that failed there can be made again.
    save();
    base::SpawnOptions options;
    options.directory = path();
    const base::UniqueFd null = base::open_file("/dev/null", O_RDWR);
    options.stderr_fd = null.get();
    const bool created =
        base::Child::spawn({OCIRUN, "--root", state_root(), "create", "box"}, options).wait().success();
    if (created) { // what fails at exec only
        const base::RunResult started = ocirun({"start", "box"});
        BOOST_TEST(started.status.code == 1);
        BOOST_TEST(started.errors.find(one.message) != std::string::npos, started.errors);
        BOOST_TEST(text(state().at("status")) == "stopped");
        BOOST_TEST(ocirun({"delete", "box"}).status.success());
    }
    BOOST_TEST(leftovers() == "");
}

// ocirun itself is killed in the middle of create: what it left is removed by `delete --force`.
BOOST_FIXTURE_TEST_CASE(a_killed_runtime_is_cleaned_up_after, Bundle) {
    std::filesystem::create_directories(path() + "/log");
    config["hooks"] = json::parse(R"({"createRuntime": [{"path": "/bin/busybox", "args": ["sh", "-c",
        "echo x > )" + path() + R"(/reached; exec /bin/busybox sleep 1000"]}]})");
    save();
    base::SpawnOptions options;
    options.directory = path();
    base::Child create = base::Child::spawn({OCIRUN, "--root", state_root(), "create", "box"}, options);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!std::filesystem::exists(path() + "/reached")) {
        BOOST_REQUIRE(std::chrono::steady_clock::now() < deadline);
        const timespec pause{0, 5'000'000};
        nanosleep(&pause, nullptr);
    }
    create.kill(SIGKILL);
    create.wait();
    BOOST_TEST(leftovers() != "");
    const base::RunResult removed = ocirun({"delete", "--force", "box"});
    BOOST_TEST(removed.status.success(), removed.errors);
    BOOST_TEST(leftovers() == "");
    base::run({"sh", "-c",
               "for p in $(busybox pidof busybox); do grep -qs 'sleep' /proc/$p/cmdline && "
               "readlink /proc/$p/cwd | grep -q " +
                   path() + " && kill -9 $p; done"});
}

BOOST_AUTO_TEST_SUITE_END()
