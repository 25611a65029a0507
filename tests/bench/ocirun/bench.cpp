// ocirun beside crun and runc, where they are installed: medians of interleaved rounds, in milliseconds.
//   ocirun_bench [ROUNDS [OCIRUN]]
// The bundle: static true, 14 capabilities, six namespaces, seven mounts, Docker's masked paths; with and without a
// filter of 360 system calls. The others refuse a hybrid cgroup tree: they run in a mount namespace without it.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <boost/json.hpp>
#include <seccomp.h>

#include "base/files.hpp"

namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

struct Runtime {
    std::string name;
    std::vector<std::string> command;
    bool hide_cgroup2;
};

struct Measured {
    double milliseconds;
    long rss_kilobytes;
    bool success;
};

/// -1 on a host with one cgroup tree.
int namespace_without_cgroup2 = -1;

Measured measure(const Runtime& runtime, const std::vector<std::string>& words) {
    std::vector<std::string> command = runtime.command;
    command.insert(command.end(), words.begin(), words.end());
    std::vector<char*> argv;
    for (std::string& word : command)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    const auto begin = std::chrono::steady_clock::now();
    const pid_t pid = vfork();
    if (pid == 0) {
        if (runtime.hide_cgroup2 && namespace_without_cgroup2 >= 0 && setns(namespace_without_cgroup2, CLONE_NEWNS) < 0)
            _exit(99);
        execv(argv[0], argv.data());
        _exit(98);
    }
    int status = 0;
    rusage usage{};
    wait4(pid, &status, 0, &usage);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    return {took.count(), usage.ru_maxrss, WIFEXITED(status) && WEXITSTATUS(status) == 0};
}

void make_namespace() {
    if (access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) < 0)
        return;
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) < 0)
        return;
    const pid_t pid = fork();
    if (pid == 0) {
        const bool done = unshare(CLONE_NEWNS) == 0 &&
                          mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) == 0 &&
                          umount2("/sys/fs/cgroup/unified", MNT_DETACH) == 0;
        static_cast<void>(!done || write(ready[1], "x", 1));
        pause();
        _exit(0);
    }
    char byte = 0;
    if (read(ready[0], &byte, 1) == 1)
        namespace_without_cgroup2 = open(("/proc/" + std::to_string(pid) + "/ns/mnt").c_str(), O_RDONLY | O_CLOEXEC);
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
}

json::value capabilities() {
    json::array names;
    for (const char* name : {"CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID",
                             "SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"})
        names.emplace_back(std::string("CAP_") + name);
    return json::object{{"bounding", names}, {"effective", names}, {"permitted", names}};
}

json::value filter() {
    json::array names;
    for (int number = 0; names.size() < 360 && number < 500; ++number)
        if (char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, number)) {
            if (std::string(name) != "personality" && std::string(name) != "clone")
                names.emplace_back(name);
            free(name);
        }
    json::array rules{json::object{{"names", std::move(names)}, {"action", "SCMP_ACT_ALLOW"}}};
    for (const int value : {0, 8, 131072, 131080, -1})
        rules.push_back(json::parse(R"({"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0,
            "value": )" + std::to_string(static_cast<unsigned>(value)) +
                                    R"(, "op": "SCMP_CMP_EQ"}]})"));
    rules.push_back(json::parse(R"({"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0,
        "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]})"));
    return json::object{{"defaultAction", "SCMP_ACT_ERRNO"},
                        {"defaultErrnoRet", 1},
                        {"architectures", json::array{"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"}},
                        {"syscalls", std::move(rules)}};
}

void write_bundle(const std::string& path, bool seccomp, const char* program) {
    fs::create_directories(path + "/rootfs");
    fs::copy_file("/bin/busybox", path + "/rootfs/busybox");
    json::object config = json::parse(R"({
        "ociVersion": "1.0.2", "root": {"path": "rootfs"}, "hostname": "box",
        "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["PATH=/", "HOME=/"]},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}],
        "linux": {
            "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
                           {"type": "cgroup"}],
            "maskedPaths": ["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                            "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"]}
    })")
                              .as_object();
    config["process"].as_object()["args"] = json::parse(program);
    config["process"].as_object()["capabilities"] = capabilities();
    if (seccomp)
        config["linux"].as_object()["seccomp"] = filter();
    std::ofstream(path + "/config.json") << json::serialize(config);
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values.empty() ? -1 : values[values.size() / 2];
}

/// name of the step -> runtime -> milliseconds of each round
std::map<std::string, std::map<std::string, std::vector<double>>> results;
std::map<std::string, long> largest_rss;

bool step(const char* name, const Runtime& runtime, const std::vector<std::string>& words) {
    const Measured measured = measure(runtime, words);
    if (!measured.success) {
        std::fprintf(stderr, "%s: %s fails\n", runtime.name.c_str(), name);
        return false;
    }
    results[name][runtime.name].push_back(measured.milliseconds);
    long& rss = largest_rss[runtime.name];
    rss = std::max(rss, measured.rss_kilobytes);
    return true;
}

void round_of(const Runtime& runtime, const std::string& directory, bool cold) {
    const std::string& name = runtime.name;
    step("run", runtime, {"run", "--bundle", directory + "/plain", name});
    if (cold)
        fs::remove_all(directory + "/" + name + "/.filters");
    step(cold ? "run, filter cold" : "run, filter", runtime, {"run", "--bundle", directory + "/filter", name});
    if (!step("create", runtime, {"create", "--bundle", directory + "/sleep", name}))
        return;
    step("state", runtime, {"state", name});
    step("start", runtime, {"start", name});
    step("exec", runtime, {"exec", name, "/busybox", "true"});
    measure(runtime, {"kill", name, "KILL"});
    usleep(20000); // the kernel takes a network namespace down in its own time, which is not part of "delete"
    step("delete", runtime, {"delete", "--force", name});
}

} // namespace

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 50;
    const base::TempDir directory("ocirun-bench");
    make_namespace();
    write_bundle(directory / "plain", false, R"(["/busybox", "true"])");
    write_bundle(directory / "filter", true, R"(["/busybox", "true"])");
    write_bundle(directory / "sleep", true, R"(["/busybox", "sleep", "1000"])");
    std::vector<Runtime> runtimes;
    for (const std::string& path :
         {std::string(argc > 2 ? argv[2] : OCIRUN), std::string("/usr/bin/crun"), std::string("/usr/sbin/runc")}) {
        const std::string name = fs::path(path).filename();
        if (fs::exists(path))
            runtimes.push_back({name, {path, "--root", directory / name}, name != "ocirun"});
    }
    // Their output is a pipe's or a terminal's business; here it is nobody's.
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int output = dup(1);
    dup2(null, 0);
    dup2(null, 1);
    for (int round = 0; round < rounds; ++round)
        for (const Runtime& runtime : runtimes)
            round_of(runtime, directory.path(), round % 5 == 4);
    dup2(output, 1);

    std::printf("%-18s", ("median of " + std::to_string(rounds)).c_str());
    for (const Runtime& runtime : runtimes)
        std::printf("%10s", runtime.name.c_str());
    std::printf("\n");
    for (const auto& [name, of_runtimes] : results) {
        std::printf("%-18s", name.c_str());
        for (const Runtime& runtime : runtimes)
            std::printf("%10.2f", median(of_runtimes.contains(runtime.name) ? of_runtimes.at(runtime.name)
                                                                            : std::vector<double>{}));
        std::printf("\n");
    }
    std::printf("%-18s", "peak RSS, KiB");
    for (const Runtime& runtime : runtimes)
        std::printf("%10ld", largest_rss[runtime.name]);
    std::printf("\n");
    return 0;
}
