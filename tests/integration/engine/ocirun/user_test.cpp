// Containers of an ordinary user: a user namespace with his own id, no cgroup, no help from root.
#include <boost/test/unit_test.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>

#include "bundle.hpp"

using ocirun_test::Bundle;
using ocirun_test::text;
namespace json = boost::json;

namespace {

constexpr unsigned user = 65534;

struct Rig : Bundle {
    Rig() {
        namespaces(R"([{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"},
                       {"type": "cgroup"}, {"type": "user"}])");
        linux_part()["uidMappings"] = json::parse(R"([{"containerID": 0, "hostID": 65534, "size": 1}])");
        linux_part()["gidMappings"] = json::parse(R"([{"containerID": 0, "hostID": 65534, "size": 1}])");
        // The way to the build directory need not be his.
        std::filesystem::copy_file(OCIRUN, program());
        std::filesystem::create_directories(user_state());
        BOOST_REQUIRE(chown(user_state().c_str(), user, user) == 0);
        BOOST_REQUIRE(chown(rootfs().c_str(), user, user) == 0);
    }

    std::string program() const { return path() + "/ocirun"; }
    std::string user_state() const { return path() + "/user"; }

    std::vector<std::string> command(const std::vector<std::string>& words) const {
        std::vector<std::string> all{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                     program(), "--root",        user_state()};
        all.insert(all.end(), words.begin(), words.end());
        return all;
    }
    base::RunResult as_user(const std::vector<std::string>& words) const {
        base::RunOptions options;
        options.spawn.directory = path();
        options.timeout = std::chrono::seconds(60);
        return base::run(command(words), options);
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(user_containers, Rig)

BOOST_AUTO_TEST_CASE(run_sees_root_of_its_own) {
    save();
    const base::RunResult result = as_user({"run", "box"});
    BOOST_REQUIRE_MESSAGE(result.status.success(), result.errors);
    const json::value report = json::parse(result.output);
    BOOST_TEST(report.at("uid").as_int64() == 0);
    BOOST_TEST(report.at("pid").as_int64() == 1);
    for (const char* name : {"mnt", "pid", "net", "ipc", "uts", "user", "cgroup"})
        BOOST_TEST(text(report.at("namespaces").at(name)) != ocirun_test::host_namespace(name), name);
    BOOST_TEST(text(report.at("hostname")) == "box");
    BOOST_TEST(!std::filesystem::exists(user_state() + "/box"));
}

BOOST_AUTO_TEST_CASE(a_whole_life) {
    args({"/probe", "wait"});
    save();
    base::SpawnOptions options;
    options.directory = path();
    const base::UniqueFd null = base::open_file("/dev/null", O_RDWR);
    options.stdout_fd = null.get();
    BOOST_REQUIRE(
        base::Child::spawn(command({"create", "--pid-file", user_state() + "/pid", "box"}), options).wait().success());
    BOOST_REQUIRE(as_user({"start", "box"}).status.success());
    BOOST_TEST(text(json::parse(as_user({"state", "box"}).output).at("status")) == "running");
    const base::RunResult executed = as_user({"exec", "box", "/probe", "report"});
    BOOST_REQUIRE_MESSAGE(executed.status.success(), executed.errors);
    const json::value report = json::parse(executed.output);
    const std::string pid = base::read_file(user_state() + "/pid");
    for (const char* name : {"mnt", "pid", "net", "ipc", "uts", "user", "cgroup"})
        BOOST_TEST(text(report.at("namespaces").at(name)) ==
                       std::string(std::filesystem::read_symlink("/proc/" + pid + "/ns/" + name)),
                   name);
    BOOST_TEST(as_user({"exec", "box", "/probe", "exit", "11"}).status.code == 11);
    BOOST_TEST(as_user({"exec", "box", "/nothing"}).errors == "ocirun: exec \"/nothing\": No such file or directory\n");
    BOOST_TEST(as_user({"delete", "box"}).status.code == 1); // it runs
    BOOST_TEST(as_user({"kill", "--all", "box", "KILL"}).status.success());
    BOOST_TEST(as_user({"delete", "--force", "box"}).status.success());
    std::error_code error; // nobody may have reaped it yet: then it has no program any more
    BOOST_TEST(std::filesystem::read_symlink("/proc/" + pid + "/exe", error) == "");
    BOOST_TEST(!std::filesystem::exists(user_state() + "/box"));
}

BOOST_AUTO_TEST_CASE(what_a_user_cannot_have_is_an_error) {
    linux_part()["resources"] = json::parse(R"({"memory": {"limit": 10000000}})");
    save();
    std::string errors = as_user({"run", "box"}).errors;
    BOOST_TEST(errors.find("linux.resources.memory.limit: cgroup controller \"memory\" is not available") !=
                   std::string::npos,
               errors);
    linux_part().erase("resources");
    process()["user"] = json::parse(R"({"uid": 0, "gid": 0, "additionalGids": [0]})");
    save();
    errors = as_user({"run", "box"}).errors;
    BOOST_TEST(errors.find("process.user.additionalGids: not possible") != std::string::npos, errors);
    process()["user"] = json::parse(R"({"uid": 0, "gid": 0})");
    linux_part()["uidMappings"] = json::parse(R"([{"containerID": 0, "hostID": 0, "size": 1}])");
    save();
    errors = as_user({"run", "box"}).errors;
    BOOST_TEST(errors.find("linux.uidMappings: ") != std::string::npos, errors);
    BOOST_TEST(!std::filesystem::exists(user_state() + "/box"));
}

// The default deny of devices protects nothing where no node can be made, and is no reason to refuse.
BOOST_AUTO_TEST_CASE(the_configuration_of_spec_runs) {
    linux_part()["resources"] = json::parse(R"({"devices": [{"allow": false, "access": "rwm"}]})");
    save();
    const base::RunResult result = as_user({"run", "box"});
    BOOST_TEST(result.status.success(), result.errors);
}

BOOST_AUTO_TEST_CASE(clocks_of_its_own) {
    linux_part()["namespaces"].as_array().push_back(json::parse(R"({"type": "time"})"));
    linux_part()["timeOffsets"] = json::parse(R"({"monotonic": {"secs": 86400}})");
    save();
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    const base::RunResult result = as_user({"run", "box"});
    BOOST_REQUIRE_MESSAGE(result.status.success(), result.errors);
    BOOST_TEST(json::parse(result.output).at("clocks").at("monotonic").as_int64() >= now.tv_sec + 86400);
}

BOOST_AUTO_TEST_CASE(owners_are_not_mapped_for_a_user) {
    add_mount(R"({"destination": "/x", "source": "/tmp", "options": ["bind", "idmap"]})");
    save();
    const base::RunResult result = as_user({"run", "box"});
    BOOST_TEST(result.status.code == 1);
    BOOST_TEST(result.errors.find("mounts[4]") != std::string::npos, result.errors);
    BOOST_TEST((result.errors.find("Operation not permitted") != std::string::npos ||
                result.errors.find("Permission denied") != std::string::npos),
               result.errors);
}

BOOST_AUTO_TEST_SUITE_END()
