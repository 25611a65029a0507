#include "bundle.hpp"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <filesystem>
#include <fstream>

#include <boost/test/unit_test.hpp>

namespace ocirun_test {

namespace {

std::string cgroup_mount() {
    return access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/unified";
}

} // namespace

Bundle::Bundle() : directory_("ocirun-test") {
    static std::atomic<unsigned> counter{0};
    name_ = "/ocirun-test-" + std::to_string(getpid()) + "-" + std::to_string(counter++);
    BOOST_REQUIRE(chmod(directory_.path().c_str(), 0755) == 0); // user namespaces' root is nobody of ours
    std::filesystem::create_directories(rootfs());
    std::filesystem::copy_file(PROBE, rootfs("/probe"));
    config = json::parse(R"({
        "ociVersion": "1.1.0",
        "process": {"args": ["/probe", "report"], "cwd": "/", "env": ["PATH=/:/bin"], "noNewPrivileges": true,
                    "user": {"uid": 0, "gid": 0}},
        "root": {"path": "rootfs"},
        "hostname": "box",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}
        ],
        "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}, {"type": "uts"},
                                 {"type": "network"}, {"type": "cgroup"}]}
    })")
                 .as_object();
    linux_part()["cgroupsPath"] = name_ + "/box";
}

Bundle::~Bundle() {
    for (const char* id : {"box", "second"})
        ocirun({"delete", "--force", id});
    if (const std::string left = leftovers(); !left.empty())
        BOOST_ERROR("left behind: " + left);
}

void Bundle::use_user_namespace() {
    namespaces(R"([{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"},
                   {"type": "cgroup"}, {"type": "user"}])");
    linux_part()["uidMappings"] = json::parse(R"([{"containerID": 0, "hostID": 100000, "size": 65536}])");
    linux_part()["gidMappings"] = json::parse(R"([{"containerID": 0, "hostID": 200000, "size": 65536}])");
    BOOST_REQUIRE(chown(rootfs().c_str(), 100000, 200000) == 0);
}

void Bundle::args(std::initializer_list<std::string> words) {
    json::array list;
    for (const std::string& word : words)
        list.emplace_back(word);
    process()["args"] = std::move(list);
}

void Bundle::report(const std::vector<std::string>& paths) {
    json::array list{"/probe", "report"};
    for (const std::string& path : paths)
        list.emplace_back(path);
    process()["args"] = std::move(list);
}

void Bundle::make_file(const std::string& name, const std::string& content) const {
    const std::filesystem::path path(rootfs(name));
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << content;
}

void Bundle::save() const {
    std::ofstream(directory_ / "config.json") << json::serialize(config);
}

base::RunResult Bundle::ocirun(const std::vector<std::string>& words, const base::RunOptions& options) const {
    std::vector<std::string> command{OCIRUN, "--root", state_root()};
    command.insert(command.end(), words.begin(), words.end());
    base::RunOptions run_options = options;
    run_options.spawn.directory = path();
    if (!run_options.timeout)
        run_options.timeout = std::chrono::minutes(5);
    return base::run(command, run_options);
}

json::object Bundle::run() {
    save();
    const base::RunResult result = ocirun({"run", "box"});
    BOOST_REQUIRE_MESSAGE(result.status.success(), result.status.describe() + ": " + result.errors);
    return json::parse(result.output).as_object();
}

std::string Bundle::run_error() {
    save();
    const base::RunResult result = ocirun({"run", "box"});
    BOOST_TEST(result.status.code == 1, "exit code " << result.status.code << ": " << result.output << result.errors);
    BOOST_TEST(result.output == "");
    BOOST_TEST(leftovers() == "");
    return result.errors;
}

void Bundle::start_waiting(const std::string& id) {
    args({"/probe", "wait"});
    save();
    // Its output is not ours to hold: the container would keep the pipe open after `create` has ended.
    base::SpawnOptions options;
    options.directory = path();
    const base::UniqueFd null = base::open_file("/dev/null", O_RDWR);
    options.stdout_fd = null.get();
    options.stderr_fd = null.get();
    base::Child create = base::Child::spawn({OCIRUN, "--root", state_root(), "create", id}, options);
    BOOST_REQUIRE(create.wait().success());
    BOOST_REQUIRE(text(state(id).at("status")) == "created");
    const base::RunResult started = ocirun({"start", id});
    BOOST_REQUIRE_MESSAGE(started.status.success(), started.errors);
}

json::object Bundle::state(const std::string& id) const {
    const base::RunResult result = ocirun({"state", id});
    BOOST_REQUIRE_MESSAGE(result.status.success(), result.errors);
    return json::parse(result.output).as_object();
}

void Bundle::await_status(const std::string& status, const std::string& id) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (text(state(id).at("status")) != status) {
        BOOST_REQUIRE_MESSAGE(std::chrono::steady_clock::now() < deadline, "the container does not become " + status);
        const timespec pause{0, 5'000'000};
        nanosleep(&pause, nullptr);
    }
}

std::string Bundle::cgroup_path() const {
    return cgroup_mount() + name_;
}

std::string Bundle::leftovers() const {
    std::string left;
    if (std::filesystem::exists(state_root()))
        for (const auto& entry : std::filesystem::directory_iterator(state_root()))
            if (entry.path().filename() != ".filters")
                left += entry.path().string() + " ";
    if (std::filesystem::exists(cgroup_path()))
        left += cgroup_path() + " ";
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);)
        if (line.find(directory_.path()) != std::string::npos)
            left += line + " ";
    return left;
}

std::string text(const json::value& value) {
    const json::string& string = value.as_string();
    return {string.data(), string.size()};
}

bool has_option(const json::object& mount, const std::string& option) {
    return ("," + text(mount.at("options")) + ",").find("," + option + ",") != std::string::npos;
}

std::string host_namespace(const std::string& name) {
    return std::filesystem::read_symlink("/proc/self/ns/" + name);
}

} // namespace ocirun_test
