#include "engine_rig.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <thread>

#include "base/error.hpp"
#include "base/process.hpp"
#include "base/sha256.hpp"
#include "core/cgroups.hpp"
#include "engine/log_reader.hpp"

namespace engine_test {
namespace fs = std::filesystem;

namespace {

/// Mounts of the test stay the test's. Before any thread: a mount namespace belongs to a thread.
struct OwnMounts {
    OwnMounts() {
        base::check(::unshare(CLONE_NEWNS), "unshare");
        base::check(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make mounts private");
    }
};

std::string cgroup_directory(const std::string& parent) {
    return engine::find_cgroup2_mount(base::read_file("/proc/self/mountinfo")).value() + parent;
}

/// Kills all that is below a cgroup and removes it, deepest first.
void remove_cgroup(const std::string& directory) {
    std::error_code error;
    if (!fs::exists(directory, error))
        return;
    engine::kill_cgroup(directory);
    std::vector<std::string> all{directory};
    for (const auto& entry : fs::recursive_directory_iterator(directory, error))
        if (entry.is_directory())
            all.push_back(entry.path());
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
    for (const std::string& path : all)
        for (int i = 0; i < 200 && ::rmdir(path.c_str()) < 0 && errno == EBUSY; ++i)
            std::this_thread::sleep_for(10ms);
}

} // namespace

void make_busybox_archive(const std::string& target, const std::string& reference, const std::string& version) {
    const base::TempDir work;
    base::make_directories(work / "root/bin");
    base::make_directories(work / "root/etc");
    base::run_checked({"cp", "/bin/busybox", work / "root/bin/busybox"});
    for (const char* name : {"sh", "cat", "echo", "sleep", "true", "false", "id", "hostname", "grep", "test", "touch",
                             "ls", "kill", "mount"})
        fs::create_symlink("busybox", work / "root/bin" + std::string("/") + name);
    base::write_durable(work / "root/etc/passwd", "root:x:0:0::/root:/bin/sh\nwww:x:33:33::/:/bin/sh\n");
    base::write_durable(work / "root/etc/version", version + "\n");
    base::run_checked(
        {"tar", "-C", work / "root", "--owner=0", "--group=0", "--mtime=@0", "-cf", work / "layer.tar", "."});
    const std::string digest = base::sha256_hex(base::read_file(work / "layer.tar"));
    base::write_durable(
        work / "config.json",
        R"({"architecture":"amd64","os":"linux","config":{"Cmd":["sh"],"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":["sha256:)" +
            digest + R"("]}})");
    base::write_durable(work / "manifest.json",
                        R"([{"Config":"config.json","RepoTags":[")" + reference + R"("],"Layers":["layer.tar"]}])");
    base::run_checked({"tar", "-C", work.path(), "-cf", target, "manifest.json", "config.json", "layer.tar"});
}

EngineRig::EngineRig() {
    static const OwnMounts own_mounts;
    static int counter = 0;
    options_.state_directory = directory_ / "state";
    options_.run_directory = directory_ / "run";
    options_.services_directory = directory_ / "services";
    options_.images_directory = directory_ / "images";
    options_.runtime = std::string(PROGRAMS) + "/ocirun";
    options_.monitor = std::string(PROGRAMS) + "/engine-monitor";
    options_.cgroup_parent = "/atoll-test-" + std::to_string(::getpid()) + "-" + std::to_string(++counter);
    base::make_directories(options_.state_directory);
    base::make_directories(options_.services_directory);
    base::make_directories(options_.images_directory);
    images_ = std::make_unique<engine::LocalImageStore>(options_.state_directory);
    engine::NetworksConfig network;
    network.state_directory = directory_ / "run/network";
    networks_ = std::make_unique<engine::Networks>(network);
    make_busybox_archive(directory_ / "busybox.tar", "busybox:1");
    images_->load_file(directory_ / "busybox.tar");
}

EngineRig::~EngineRig() {
    try {
        drop();
        reboot();
    } catch (const std::exception& error) {
        BOOST_TEST_MESSAGE("clean up: " << base::error_chain(error));
    }
}

engine::Engine& EngineRig::start() {
    engine_ = std::make_unique<engine::Engine>(options_, *images_, *networks_);
    engine_->start();
    return *engine_;
}

void EngineRig::drop() {
    engine_.reset();
}

void EngineRig::reboot() {
    BOOST_REQUIRE(!engine_);
    remove_cgroup(cgroup_directory(options_.cgroup_parent));
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(options_.run_directory + "/containers", error))
        (void)::umount2((entry.path() / "rootfs").c_str(), MNT_DETACH);
    base::remove_tree(options_.run_directory);
}

void EngineRig::write_service(const std::string& name, const std::string& text) {
    base::write_durable(options_.services_directory + "/" + name + ".yaml", "name: " + name + "\n" + text);
}

void EngineRig::wait_until(const std::string& description, const std::function<bool()>& what) {
    const auto deadline = std::chrono::steady_clock::now() + long_enough;
    while (!what()) {
        if (std::chrono::steady_clock::now() > deadline)
            BOOST_FAIL("waited in vain until " << description);
        std::this_thread::sleep_for(20ms);
    }
}

engine::ContainerConfig EngineRig::shell(const std::string& script) {
    engine::ContainerConfig config;
    config.image = "busybox:1";
    config.command = {"sh", "-c", script};
    config.network_mode = "none";
    return config;
}

std::string EngineRig::run(const std::string& name, const engine::ContainerConfig& config) {
    const std::string id = engine_->create(name, config, user);
    engine_->start_container(id, user);
    return id;
}

engine::WaitResult EngineRig::wait_end(const std::string& id, engine::WaitCondition condition) {
    auto waiter = engine_->wait(id, condition);
    const auto result = waiter.wait_for(long_enough);
    BOOST_REQUIRE_MESSAGE(result.has_value(), "container " << id << " does not end");
    return *result;
}

std::string EngineRig::log_of(const std::string& id) {
    std::string text;
    engine::LogReader reader(engine_->get(id).log_path, {});
    while (const auto entry = reader.next(0ms))
        text += entry->text;
    return text;
}

std::string EngineRig::output_of(engine::ContainerConfig config, int* exit_code) {
    const std::string id = engine_->create("", std::move(config), root);
    const auto attachment = engine_->attach(id, {}, user);
    engine_->start_container(id, root);
    std::string text;
    while (const auto output = attachment->read())
        text += output->data;
    // Boost.Test's checks are for one thread only, and this is called by several.
    auto waiter = engine_->wait(id, engine::WaitCondition::not_running);
    const auto result = waiter.wait_for(long_enough);
    if (!result)
        throw base::Error("container " + id + " does not end");
    if (exit_code != nullptr)
        *exit_code = result->exit_code;
    engine_->remove(id, false, root);
    return text;
}

pid_t EngineRig::monitor_of(const std::string& id) {
    for (const auto& entry : fs::directory_iterator("/proc")) {
        const std::string pid = entry.path().filename();
        if (pid.find_first_not_of("0123456789") != std::string::npos)
            continue;
        std::string command;
        try {
            command = base::read_file(entry.path() / "cmdline");
        } catch (const base::Error&) {
            continue; // it has ended
        }
        if (command.find("engine-monitor") != std::string::npos && command.find("--bundle") != std::string::npos &&
            command.find(id) != std::string::npos)
            return static_cast<pid_t>(std::stol(pid));
    }
    return 0;
}

} // namespace engine_test
