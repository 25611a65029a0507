// Races, and what changed between two commands.
#include <boost/test/unit_test.hpp>

#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "bundle.hpp"

using ocirun_test::Bundle;
using ocirun_test::text;
namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

/// Exchanges two names as fast as it can, as another container that shares the directory would.
class Exchange {
public:
    Exchange(std::string one, std::string other)
        : thread_([this, one = std::move(one), other = std::move(other)] {
              while (!done_)
                  syscall(SYS_renameat2, AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE);
          }) {}
    ~Exchange() {
        done_ = true;
        thread_.join();
    }
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

private:
    std::atomic<bool> done_{false};
    std::thread thread_;
};

/// Of /proc/PID/stat: the 22nd field, the 20th after the name.
std::string start_time(pid_t pid) {
    const std::string stat = base::read_file("/proc/" + std::to_string(pid) + "/stat");
    std::istringstream words(stat.substr(stat.rfind(')') + 1));
    std::string word;
    for (int field = 0; field < 20; ++field)
        words >> word;
    return word;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(hardening, Bundle)

// CVE-2021-30465, CVE-2024-45310: a component of the destination is a directory at one moment and a way out at the
// next.
BOOST_AUTO_TEST_CASE(a_destination_that_changes_meanwhile) {
    const std::string outside = path() + "/outside";
    fs::create_directories(outside + "/deep");
    fs::create_directories(rootfs("/volume/real"));
    fs::create_symlink("../../../../../../../../../.." + outside, rootfs("/volume/link"));
    fs::create_directories(path() + "/data");
    std::ofstream(path() + "/data/file") << "data";
    add_mount(R"({"destination": "/volume/real/deep", "source": "data", "options": ["bind"]})");
    add_mount(R"({"destination": "/volume/real/new/dir", "type": "tmpfs", "source": "x"})");
    add_mount(R"({"destination": "/volume/real/file", "source": "data/file", "options": ["bind"]})");
    linux_part()["maskedPaths"] = json::parse(R"(["/volume/real/deep/file"])");
    linux_part()["readonlyPaths"] = json::parse(R"(["/volume/real/deep"])");
    linux_part()["devices"] = json::parse(R"([{"path": "/volume/real/node", "type": "p"}])");
    process()["cwd"] = "/volume/real/work";
    args({"/probe", "exit", "0"});
    save();
    int succeeded = 0;
    {
        const Exchange exchange(rootfs("/volume/real"), rootfs("/volume/link"));
        for (int attempt = 0; attempt < 30; ++attempt) {
            succeeded += ocirun({"run", "box"}).status.success() ? 1 : 0;
            BOOST_TEST(leftovers() == "");
        }
    }
    BOOST_TEST_MESSAGE(succeeded << " of 30 succeeded");
    // Nothing was made, mounted or hidden out there.
    std::string left;
    for (const auto& entry : fs::recursive_directory_iterator(outside))
        left += entry.path().filename().string() + " ";
    BOOST_TEST(left == "deep ");
}

// What a container is usually denied of /proc and /sys, by the configuration of `ocirun spec`.
BOOST_AUTO_TEST_CASE(the_kernels_files_cannot_be_written) {
    BOOST_REQUIRE(ocirun({"spec"}).status.success());
    const json::object spec = json::parse(base::read_file(path() + "/config.json")).as_object();
    config["mounts"] = spec.at("mounts");
    for (const char* key : {"maskedPaths", "readonlyPaths"})
        linux_part()[key] = spec.at("linux").at(key);
    process()["capabilities"] = json::parse(R"({"bounding": ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"],
        "permitted": ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"], "effective": ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]})");
    const std::vector<std::string> readonly{"/proc/sysrq-trigger",
                                            "/proc/sys/kernel/core_pattern",
                                            "/proc/sys/kernel/modprobe",
                                            "/proc/irq/default_smp_affinity",
                                            "/sys/kernel/uevent_helper",
                                            "/sys/fs/cgroup/cgroup.procs",
                                            "/sys/fs/cgroup/cgroup.subtree_control"};
    std::vector<std::string> paths = readonly;
    paths.insert(paths.end(), {"/proc/kcore", "/proc/keys", "/sys/firmware"});
    report(paths);
    const json::object seen = run().at("files").as_object();
    for (const std::string& name : readonly)
        if (!seen.at(name).as_object().contains("errno")) // not every kernel has all of them
            BOOST_TEST(seen.at(name).at("write").as_int64() == EROFS, name);
    BOOST_TEST(seen.at("/proc/sys/kernel/core_pattern").at("write").as_int64() == EROFS);
    for (const char* name : {"/proc/kcore", "/proc/keys"})
        if (!seen.at(name).as_object().contains("errno"))
            BOOST_TEST(text(seen.at(name).at("device")) == "1:3", name);
    BOOST_TEST(text(seen.at("/proc/keys").at("device")) == "1:3");
    BOOST_TEST(seen.at("/sys/firmware").at("entries").as_array().empty());
}

// CVE-2025-52881: nothing of the configuration's may come between a sysctl or a label and the kernel.
BOOST_AUTO_TEST_CASE(nothing_is_mounted_over_what_the_runtime_writes_to) {
    fs::create_directories(path() + "/data/net");
    fs::create_symlink("/proc/sys/net", rootfs("/volume"));
    for (const char* destination : {"/proc/sys", "/proc/sys/net", "/proc/self/attr", "/proc/1", "/volume"}) {
        mounts().resize(4);
        add_mount(R"({"destination": ")" + std::string(destination) + R"(", "type": "tmpfs", "source": "x"})");
        BOOST_TEST(run_error().find("the destination is a file of procfs") != std::string::npos, destination);
    }
}

BOOST_AUTO_TEST_CASE(the_session_keyring_is_its_own) {
    BOOST_TEST(text(run().at("keyring")).ends_with(";_ses.box"));
    args({"/probe", "report"});
    save();
    const base::RunResult kept = ocirun({"run", "--no-new-keyring", "box"});
    BOOST_REQUIRE_MESSAGE(kept.status.success(), kept.errors);
    BOOST_TEST(!text(json::parse(kept.output).at("keyring")).ends_with(";_ses.box"));
}

// exec, kill and delete find the container by what was saved: another process may have its pid by now.
BOOST_AUTO_TEST_CASE(another_process_with_its_pid) {
    start_waiting();
    const std::string file = state_root() + "/box/state.json";
    const std::string saved = base::read_file(file);
    json::object changed = json::parse(saved).as_object();
    base::Child stranger = base::Child::spawn({"/bin/busybox", "sleep", "1000"});
    // The kernel counts in hundredths of a second, in which no pid comes round.
    while (start_time(stranger.pid()) == start_time(static_cast<pid_t>(changed.at("pid").as_int64()))) {
        stranger.kill(SIGKILL);
        stranger.wait();
        stranger = base::Child::spawn({"/bin/busybox", "sleep", "1000"});
    }
    changed["pid"] = stranger.pid();
    std::ofstream(file) << json::serialize(changed);
    BOOST_TEST(ocirun({"exec", "box", "/probe", "report"}).errors.find("is stopped, not running") != std::string::npos);
    BOOST_TEST(ocirun({"kill", "box", "KILL"}).status.code == 1);
    BOOST_TEST(kill(stranger.pid(), 0) == 0);
    std::ofstream(file) << saved;
    BOOST_TEST(ocirun({"exec", "box", "/probe", "exit", "0"}).status.success());
    stranger.kill(SIGKILL);
    stranger.wait();
}

// A container whose first process somebody has moved elsewhere: an exec would start outside of its limits.
BOOST_AUTO_TEST_CASE(a_first_process_that_left_its_cgroup) {
    start_waiting();
    const std::string pid = std::to_string(state().at("pid").as_int64());
    const std::string elsewhere = cgroup_path() + "/elsewhere";
    fs::create_directory(elsewhere);
    std::ofstream(elsewhere + "/cgroup.procs") << pid;
    const base::RunResult refused = ocirun({"exec", "box", "/probe", "report"});
    BOOST_TEST(refused.status.code == 1);
    BOOST_TEST(refused.errors.find("its first process is in cgroup /") != std::string::npos, refused.errors);
    std::ofstream(cgroup_path() + "/box/cgroup.procs") << pid;
    fs::remove(elsewhere);
}

BOOST_AUTO_TEST_SUITE_END()
