#include "namespace_machine.hpp"

#include <boost/test/unit_test.hpp>

#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/error.hpp"
#include "base/grub_env.hpp"

namespace fs = std::filesystem;

namespace {

/// Where this host has cgroup2, which may be beside version 1.
std::string find_cgroup2() {
    std::ifstream mounts("/proc/self/mounts");
    for (std::string device, path, type, rest; mounts >> device >> path >> type && std::getline(mounts, rest);) {
        if (type == "cgroup2")
            return path;
    }
    throw base::Error("there is no cgroup2 mount");
}

// As the first process of the new namespaces: what a kernel would have prepared, then init. /dev is not the host's.
constexpr const char* setup_script = R"(
set -e
mount -t proc proc "$1/proc"
mount --bind "$1/cmdline" "$1/proc/cmdline"
mount -t tmpfs tmpfs "$1/dev"
mknod -m 666 "$1/dev/null" c 1 3
mknod -m 666 "$1/dev/zero" c 1 5
exec chroot "$1" /usr/bin/init
)";

} // namespace

NamespaceMachine::NamespaceMachine(const Options& options)
    : directory_("init"), root_(directory_ / "root"),
      cgroup_(find_cgroup2() + "/" + fs::path(directory_.path()).filename().string()) {
    if (::geteuid() != 0)
        throw base::Error("this test needs root");
    make_root(options);
    fs::create_directory(cgroup_);
    const base::UniqueFd group = base::open_file(cgroup_, O_RDONLY | O_DIRECTORY);
    base::SpawnOptions spawn;
    spawn.cgroup_fd = group.get();
    // unshare(1) waits, in the group, for its child; the cgroup namespace makes the group the child's root.
    process_ = base::Child::spawn({"unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--net",
                                   "--cgroup", "sh", "-c", setup_script, "sh", root_},
                                  spawn);
    const std::string pid = std::to_string(process_.pid());
    wait_until("PID 1 exists", [&] {
        init_pid_ = std::stoi(base::read_file("/proc/" + pid + "/task/" + pid + "/children"));
        return true;
    });
}

NamespaceMachine::~NamespaceMachine() {
    // SIGKILL of unshare takes PID 1 with it (--kill-child), and that the whole namespace.
    if (process_) {
        process_.kill(SIGKILL);
        process_.wait_for(std::chrono::seconds(5));
    }
    std::ofstream(cgroup_ + "/cgroup.kill") << "1";
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    for (const char* name : {"/atoll.system/engined", "/atoll.system/monitors", "/atoll.system", "/atoll.user", ""}) {
        while (::rmdir((cgroup_ + name).c_str()) != 0 && errno == EBUSY && std::chrono::steady_clock::now() < deadline)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

void NamespaceMachine::make_root(const Options& options) const {
    for (const char* name : {"proc", "sys", "dev", "run", "tmp", "var/lib/fake-engine", "boot/grub", "etc", "usr/bin"})
        fs::create_directories(root_ + "/" + name);
    fs::copy_file(INIT_PROGRAM, root_ + "/usr/bin/init");
    fs::copy_file("/bin/busybox", root_ + "/usr/bin/busybox");
    fs::create_symlink("busybox", root_ + "/usr/bin/sh");
    if (options.engine)
        fs::copy_file(FAKE_ENGINE, root_ + "/usr/bin/engined");
    if (!options.scenario.empty())
        base::write_durable(root_ + "/usr/bin/scenario.sh", options.scenario, 0755);
    base::write_durable(root_ + "/usr/bin/updaterd",
                        "#!/usr/bin/sh\necho \"<5>updaterd: called with $*\"\n"
                        "echo \"finalize $(busybox tail -n1 /var/lib/fake-engine/log)\" >>/var/lib/fake-engine/log\n",
                        0755);
    base::write_durable(root_ + "/var/lib/fake-engine/mode", options.mode);
    base::write_durable(root_ + "/cmdline", options.kernel_arguments + "\n");
    base::GrubEnv environment;
    environment.set("ok", options.ok_revision);
    base::write_durable(root_ + "/boot/grub/grubenv", environment.serialize());
}

std::string NamespaceMachine::inside(const std::string& path) const {
    return "/proc/" + std::to_string(init_pid_) + "/root" + path;
}

base::RunResult NamespaceMachine::run(const std::string& command) const {
    const std::string pid = std::to_string(init_pid_);
    return base::run(
        {"nsenter", "-t", pid, "-m", "-p", "-u", "-C", "-r", "-w", "/usr/bin/busybox", "sh", "-c", command});
}

init::Client NamespaceMachine::connect() const {
    return init::Client::connect(inside("/run/atoll/init.sock"));
}

std::string NamespaceMachine::log() const {
    init::Client client = connect();
    std::string text;
    std::uint64_t next = 0;
    while (const auto line = client.log_line(next)) {
        text += line->text + "\n";
        next = line->sequence + 1;
    }
    return text;
}

std::string NamespaceMachine::file(const std::string& path) const {
    return base::read_file_if_exists(root_ + path).value_or("");
}

void NamespaceMachine::wait_until(const std::string& what, const std::function<bool()>& condition,
                                  std::chrono::seconds limit) const {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    std::string problem;
    while (std::chrono::steady_clock::now() < deadline) {
        try {
            if (condition())
                return;
            problem.clear();
        } catch (const std::exception& error) {
            problem = error.what();
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    std::string log_text;
    try {
        log_text = log();
    } catch (const std::exception& error) {
        log_text = error.what();
    }
    BOOST_FAIL("not within " << limit.count() << " s: " << what << " " << problem << "\n" << log_text);
}

void NamespaceMachine::wait_until_running() const {
    wait_until("engined runs", [&] { return status().engine_state == init::EngineState::running; });
}

base::ExitStatus NamespaceMachine::wait_for_end(std::chrono::seconds limit) {
    const auto status = process_.wait_for(limit);
    if (!status)
        BOOST_FAIL("PID 1 did not end\n" << log());
    return *status;
}
