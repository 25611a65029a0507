// Containers of an ordinary user: a user namespace with his own id, no cgroup, no help from root; then with what root
// may give him, subordinate ids and a cgroup.
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
    base::RunOptions run_options() const {
        base::RunOptions options;
        options.spawn.directory = path();
        options.timeout = std::chrono::minutes(5);
        return options;
    }
    base::RunResult as_user(const std::vector<std::string>& words) const {
        return base::run(command(words), run_options());
    }
    /// With subordinate ids in /etc/subuid and /etc/subgid.
    base::RunResult with_ids(const std::string& ids, const std::vector<std::string>& words) const {
        std::ofstream(path() + "/ids") << ids;
        std::vector<std::string> all{"unshare",
                                     "--mount",
                                     "--propagation",
                                     "private",
                                     "sh",
                                     "-c",
                                     "mount --bind ids /etc/subuid && mount --bind ids /etc/subgid && exec \"$@\"",
                                     "sh"};
        for (const std::string& word : command(words))
            all.push_back(word);
        return base::run(all, run_options());
    }
    void map_many() {
        for (const char* key : {"uidMappings", "gidMappings"})
            linux_part()[key] = json::parse(R"([{"containerID": 0, "hostID": 65534, "size": 1},
                                                {"containerID": 1, "hostID": 300000, "size": 1000}])");
    }
};

/// A group that was given to the user, as systemd gives one: he has a process in it.
struct Delegated : Rig {
    Delegated() {
        std::filesystem::create_directories(cgroup_path() + "/caller");
        // What there is: on a host whose cgroup v1 has the others it is this one.
        for (const std::string& group : {cgroup_path() + "/..", cgroup_path()})
            std::ofstream(group + "/cgroup.subtree_control") << "+hugetlb";
        for (const char* name : {"", "/cgroup.procs", "/cgroup.subtree_control", "/caller", "/caller/cgroup.procs"})
            BOOST_REQUIRE(chown((cgroup_path() + name).c_str(), user, user) == 0);
        linux_part()["resources"] = json::parse(R"({"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]})");
        args({"/probe", "wait"});
        save();
    }
    ~Delegated() {
        from("caller", {"delete", "--force", "box"});
        std::error_code error;
        std::filesystem::remove(cgroup_path() + "/caller", error);
        std::filesystem::remove(cgroup_path(), error);
    }
    /// The caller's process is in the group `name` of the user's; "": in the one above it.
    base::RunResult from(const std::string& name, const std::vector<std::string>& words) const {
        base::RunOptions options = run_options();
        const base::UniqueFd group =
            base::open_file(cgroup_path() + (name.empty() ? "/.." : "/" + name), O_RDONLY | O_DIRECTORY);
        options.spawn.cgroup_fd = group.get();
        return base::run(command(words), options);
    }
    std::string box(const std::string& file) const { return base::read_file(cgroup_path() + "/box/" + file); }
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

// By Debian's newuidmap and newgidmap (package uidmap).
BOOST_AUTO_TEST_CASE(subordinate_ids) {
    map_many();
    process()["user"] = json::parse(R"({"uid": 5, "gid": 6, "additionalGids": [7, 8]})");
    report({"/proc/self/uid_map"});
    save();
    const base::RunResult result = with_ids("65534:300000:1000\n", {"run", "box"});
    BOOST_REQUIRE_MESSAGE(result.status.success(), result.errors);
    const json::value seen = json::parse(result.output);
    BOOST_TEST(seen.at("uid").as_int64() == 5);
    BOOST_TEST(seen.at("gid").as_int64() == 6);
    BOOST_TEST(json::serialize(seen.at("groups")) == R"(["7","8"])");
    const std::string map = text(seen.at("files").at("/proc/self/uid_map").at("content"));
    BOOST_TEST(map.find("300000") != std::string::npos, map);
}

BOOST_AUTO_TEST_CASE(ids_that_are_not_his) {
    map_many();
    save();
    base::RunResult result = with_ids("65534:400000:1000\n", {"run", "box"});
    BOOST_TEST(result.status.code == 1);
    BOOST_TEST(result.errors.find(
                   "linux.uidMappings: not only the caller's own id, so newuidmap and newgidmap are needed: ") !=
                   std::string::npos,
               result.errors);
    BOOST_TEST(result.errors.find("uid range [1-1001) -> [300000-301000) not allowed") != std::string::npos,
               result.errors);
    // Without the programs.
    base::RunOptions options = run_options();
    options.spawn.environment = {"PATH=/nowhere"};
    std::vector<std::string> words = command({"run", "box"});
    words.front() = "/usr/bin/setpriv";
    result = base::run(words, options);
    BOOST_TEST(result.errors ==
               "ocirun: linux.uidMappings: not only the caller's own id, so newuidmap and newgidmap are needed: "
               "run newuidmap: No such file or directory\n");
    BOOST_TEST(!std::filesystem::exists(user_state() + "/box"));
}

BOOST_FIXTURE_TEST_CASE(limits_in_a_group_of_his, Delegated) {
    const base::RunResult created = from("caller", {"run", "--detach", "box"});
    BOOST_REQUIRE_MESSAGE(created.status.success(), created.errors);
    BOOST_TEST(box("hugetlb.2MB.max") == "4194304\n");
    const std::string pid = std::to_string(json::parse(from("caller", {"state", "box"}).output).at("pid").as_int64());
    BOOST_TEST(box("cgroup.procs") == pid + "\n");
    std::ofstream(path() + "/limits.json") << R"({"hugepageLimits": [{"pageSize": "2MB", "limit": 2097152}]})";
    BOOST_TEST(from("caller", {"update", "--resources", path() + "/limits.json", "box"}).errors == "");
    BOOST_TEST(box("hugetlb.2MB.max") == "2097152\n");
    BOOST_TEST(from("caller", {"exec", "box", "/probe", "exit", "4"}).status.code == 4);
    BOOST_TEST(from("caller", {"pause", "box"}).errors == "");
    BOOST_TEST(text(json::parse(from("caller", {"state", "box"}).output).at("status")) == "paused");
    BOOST_TEST(from("caller", {"resume", "box"}).errors == "");
    BOOST_TEST(from("caller", {"ps", "box"}).output == "PID\n" + pid + "\n");
    BOOST_TEST(from("caller", {"kill", "--all", "box", "KILL"}).errors == "");
    BOOST_TEST(from("caller", {"delete", "--force", "box"}).errors == "");
    BOOST_TEST(!std::filesystem::exists(cgroup_path() + "/box"));
}

BOOST_FIXTURE_TEST_CASE(what_a_group_of_his_does_not_give, Delegated) {
    // A controller that he was not given.
    linux_part()["resources"] = json::parse(R"({"pids": {"limit": 10}, "hugepageLimits": []})");
    save();
    base::RunResult result = from("caller", {"run", "box"});
    BOOST_TEST(result.errors.find("linux.resources.pids.limit: cgroup controller \"pids\" is not available in ") !=
                   std::string::npos,
               result.errors);
    BOOST_TEST(!std::filesystem::exists(cgroup_path() + "/box"));
    // A caller who is outside of it: the kernel does not let him move a process in there.
    linux_part().erase("resources");
    save();
    result = from("", {"run", "box"});
    BOOST_TEST(
        result.errors.find("/box: the caller is in /; a process may change its group only within a tree that is the "
                           "caller's own: Permission denied") != std::string::npos,
        result.errors);
    BOOST_TEST(!std::filesystem::exists(cgroup_path() + "/box"));
    BOOST_TEST(!std::filesystem::exists(user_state() + "/box"));
}

BOOST_AUTO_TEST_SUITE_END()
