#include "runtime/plan.hpp"

#include <linux/mount.h>
#include <sched.h>

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "base/files.hpp"
#include "bundle.hpp"
#include "runtime/parent_side.hpp"
#include "runtime/stages.hpp"

using namespace engine::runtime;
using runtime_test::with;

namespace {

struct Fixture {
    ContainerPlan plan(const std::string& text) {
        PlanOptions options;
        options.id = "box";
        options.bundle = "/bundle";
        options.cgroup_path = "/sys/fs/cgroup/box";
        options.filter_cache = cache / "filters";
        return make_plan(parse_config(text, "config.json", "/bundle"), options);
    }
    base::TempDir cache;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(plan, Fixture)

BOOST_AUTO_TEST_CASE(namespaces_are_made_where_they_can_be) {
    const ContainerPlan made = plan(with("/linux/namespaces", R"([{"type": "mount"}, {"type": "pid"},
        {"type": "network", "path": "/proc/self/ns/net"}, {"type": "cgroup"}])"));
    BOOST_TEST(made.clone_flags == static_cast<unsigned long>(CLONE_NEWPID));
    BOOST_TEST(made.unshare_flags == static_cast<unsigned long>(CLONE_NEWNS | CLONE_NEWCGROUP));
    BOOST_TEST(made.joined.size() == 1U);
    BOOST_TEST(made.joined[0].flag == CLONE_NEWNET);
    BOOST_TEST(!made.bring_up_loopback);
    BOOST_TEST(!made.await_parent);
}

BOOST_AUTO_TEST_CASE(a_joined_user_namespace_comes_first) {
    const ContainerPlan made = plan(with("/linux/namespaces", R"([{"type": "mount"},
        {"type": "network", "path": "/proc/self/ns/net"}, {"type": "user", "path": "/proc/self/ns/user"}])"));
    BOOST_TEST(made.joined[0].flag == CLONE_NEWUSER);
    BOOST_TEST(made.user_namespace);
}

BOOST_AUTO_TEST_CASE(a_path_that_is_not_there_is_named) {
    BOOST_CHECK_EXCEPTION(
        plan(with("/linux/namespaces", R"([{"type": "mount"}, {"type": "ipc", "path": "/nowhere"}])")), base::Error,
        [](const base::Error& error) { return std::string(error.what()).find("/nowhere") != std::string::npos; });
}

BOOST_AUTO_TEST_CASE(a_joined_mount_namespace_takes_no_mounts) {
    boost::json::value document =
        boost::json::parse(with("/linux/namespaces", R"([{"type": "mount", "path": "/proc/self/ns/mnt"}])"));
    const ContainerPlan made = plan(boost::json::serialize(document));
    BOOST_TEST(!made.own_mounts);
    BOOST_TEST(made.devices.size() == 0U);
    runtime_test::set(document, "/mounts", R"([{"destination": "/x", "type": "tmpfs"}])");
    BOOST_CHECK_THROW(plan(boost::json::serialize(document)), base::Error);
}

BOOST_AUTO_TEST_CASE(environment_is_prepared) {
    const ContainerPlan made = plan(boost::json::serialize(runtime_test::minimal()));
    BOOST_TEST(made.process.search_path == "/bin");
    BOOST_TEST(made.process.find_home);
    BOOST_TEST(std::string(made.process.env.data()[0]) == "PATH=/bin");
    BOOST_TEST((made.process.env.data()[1] == nullptr));
    BOOST_TEST(!plan(with("/process/env", R"(["HOME=/x"])")).process.find_home);
    BOOST_TEST(plan(with("/process/env", "[]")).process.search_path.starts_with("/usr/local/sbin:"));
}

BOOST_AUTO_TEST_CASE(capabilities_that_are_not_given_are_none) {
    const ContainerPlan made = plan(boost::json::serialize(runtime_test::minimal()));
    BOOST_TEST(made.process.capabilities.bounding == 0U);
    BOOST_TEST(made.process.capabilities.permitted == 0U);
}

BOOST_AUTO_TEST_CASE(mounts_are_prepared) {
    const ContainerPlan made = plan(with("/mounts", R"([
        {"destination": "/run", "type": "tmpfs", "options": ["ro", "nosuid"]},
        {"destination": "/proc", "type": "proc"},
        {"destination": "/data", "type": "bind", "source": "data"},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "options": ["ro"]},
        {"destination": "/proc/meminfo", "type": "bind", "source": "/x"}])"));
    BOOST_TEST(made.mounts[0].late_readonly);
    BOOST_TEST(made.mounts[0].set == std::uint64_t{MOUNT_ATTR_NOSUID});
    BOOST_TEST(made.mounts[1].no_symlinks);
    BOOST_TEST(!made.mounts[1].over_procfs);
    BOOST_TEST(made.mounts[2].source == "/bundle/data");
    BOOST_TEST(made.mounts[2].propagation == std::uint64_t{MS_PRIVATE});
    // Without a cgroup namespace the container's own group is bound.
    BOOST_TEST((made.mounts[3].kind == PlannedMount::Kind::bind));
    BOOST_TEST(made.mounts[3].source == "/sys/fs/cgroup/box");
    BOOST_TEST(made.mounts[3].set == std::uint64_t{MOUNT_ATTR_RDONLY});
    BOOST_TEST(made.mounts[4].over_procfs);
}

BOOST_AUTO_TEST_CASE(long_options_go_by_mount) {
    const std::string layers(300, 'x');
    const ContainerPlan made = plan(with("/mounts", R"([{"destination": "/m", "type": "overlay", "options":
        ["lowerdir=)" + layers + R"(", "index=off", "metacopy"]}])"));
    BOOST_TEST(made.mounts[0].joined_data == "lowerdir=" + layers + ",index=off,metacopy");
    BOOST_CHECK_THROW(plan(with("/mounts", R"([{"destination": "/m", "type": "overlay", "options": ["lowerdir=)" +
                                               std::string(5000, 'x') + R"("]}])")),
                      base::Error);
}

BOOST_AUTO_TEST_CASE(devices_are_the_promised_and_the_given) {
    const ContainerPlan made =
        plan(with("/linux/devices", R"([{"path": "/dev/null", "type": "c", "major": 9, "minor": 9},
                                         {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}])"));
    BOOST_TEST(made.devices.size() == 7U);
    const auto null = std::find_if(made.devices.begin(), made.devices.end(),
                                   [](const PlannedDevice& device) { return device.path == "/dev/null"; });
    BOOST_TEST(null->major == 9U);
    const ContainerPlan foreign =
        plan(with("/mounts", R"([{"destination": "/dev", "type": "bind", "source": "/dev"}])"));
    BOOST_TEST(!foreign.populate_dev);
    BOOST_TEST(foreign.devices.size() == 0U);
}

BOOST_AUTO_TEST_CASE(failures_are_described_by_the_plan) {
    const ContainerPlan made = plan(with("/mounts", R"([{"destination": "/run", "type": "tmpfs"},
        {"destination": "/data", "type": "bind", "source": "/src"}])"));
    const auto text = [&](Stage stage, Operation operation, int error, int index) {
        return describe({Message::Kind::failed, stage, operation, error, index}, &made, made.process);
    };
    BOOST_TEST(text(Stage::mounts, Operation::fsmount, EPERM, 0) ==
               "mounts[0]: mount tmpfs on /run: fsmount: Operation not permitted");
    BOOST_TEST(text(Stage::mounts, Operation::open_tree, ENOENT, 1) ==
               "mounts[1]: bind /src on /data: open_tree: No such file or directory");
    BOOST_TEST(text(Stage::mounts, Operation::over_procfs, EPERM, 1) ==
               "mounts[1]: bind /src on /data: the destination is a file of procfs");
    BOOST_TEST(text(Stage::exec, Operation::not_found_in_path, ENOENT, -1) ==
               "exec \"sh\": executable file not found in $PATH");
    BOOST_TEST(text(Stage::exec, Operation::exec, EACCES, -1) == "exec \"sh\": Permission denied");
    BOOST_TEST(text(Stage::mounts, Operation::open, ENOENT, 99) == "mounts: open: No such file or directory");
}

BOOST_AUTO_TEST_CASE(why_a_group_takes_no_process) {
    const auto message = [](int error) {
        return std::string(clone_failure(error, "/a/box").what());
    };
    BOOST_TEST(message(ENOENT) ==
               "make the container's process (clone3): in cgroup /a/box: this group, or the caller's, is "
               "outside of the caller's cgroup namespace: No such file or directory");
    BOOST_TEST(message(EACCES).find("a process may change its group only within a tree that is the caller's own") !=
               std::string::npos);
    BOOST_TEST(message(EBUSY).find("controllers for groups below") != std::string::npos);
    BOOST_TEST(std::string(clone_failure(EAGAIN, "").what()).find("cgroup") == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
