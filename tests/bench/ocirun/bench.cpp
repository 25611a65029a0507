// ocirun beside crun and runc, where they are installed, and beside the bare system calls: medians of interleaved
// rounds, in milliseconds, and the largest resident set.
//   chrt -f 10 ocirun_bench [ROUNDS]
// (by the real-time scheduler, so that what else runs on the machine is not measured)
// The others refuse a hybrid cgroup tree, and crun loads no device filter for version 2 without CAP_SYS_RESOURCE: on
// such a host they run in a mount namespace where only version 1 is to be seen.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/files.hpp"
#include "base/process.hpp"
#include "bundle.hpp"
#include "floor.hpp"
#include "trace.hpp"

namespace fs = std::filesystem;

namespace {

struct Runtime {
    std::string name;
    std::vector<std::string> command;
    bool hide_cgroup2;
};

struct Samples {
    std::vector<double> milliseconds;
};

/// step -> runtime
std::map<std::string, std::map<std::string, Samples>> results;
const char* const steps[] = {"run", "run, filter", "run, filter cold", "create", "start", "state", "exec", "delete"};

/// -1 on a host with one cgroup tree.
int namespace_without_cgroup2 = -1;

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

/// Runs it; false and a line of text when it fails.
bool succeeds(const Runtime& runtime, std::vector<std::string> command) {
    std::vector<char*> argv;
    for (std::string& word : command)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    const pid_t pid = vfork();
    if (pid == 0) {
        if (runtime.hide_cgroup2 && namespace_without_cgroup2 >= 0 && setns(namespace_without_cgroup2, CLONE_NEWNS) < 0)
            _exit(99);
        execv(argv[0], argv.data());
        _exit(98);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    std::fprintf(stderr, "%s fails with status %d\n", runtime.name.c_str(), status);
    return false;
}

std::vector<std::string> command_line(const Runtime& runtime, const std::vector<std::string>& words) {
    std::vector<std::string> command = runtime.command;
    command.insert(command.end(), words.begin(), words.end());
    return command;
}

bool step(const char* name, const Runtime& runtime, const std::vector<std::string>& words) {
    const std::vector<std::string> command = command_line(runtime, words);
    const Clock::time_point begin = Clock::now();
    const bool success = succeeds(runtime, command);
    if (success && name != nullptr)
        results[name][runtime.name].milliseconds.push_back(since(begin));
    return success;
}

/// The largest resident set of a command in KiB.
std::string peak(const Runtime& runtime, const std::vector<std::string>& words, const std::string& directory) {
    const std::string file = directory + "/peak";
    const int output = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const int before = fcntl(1, F_DUPFD_CLOEXEC, 0);
    dup2(output, 1);
    std::vector<std::string> command = command_line(runtime, words);
    command.insert(command.begin(), PEAK);
    succeeds(runtime, command);
    dup2(before, 1);
    close(before);
    close(output);
    std::string text = base::read_file(file); // what the program printed comes before
    text.erase(text.find_last_not_of('\n') + 1);
    return text.substr(text.rfind('\n') + 1);
}

void print_peaks(const std::vector<Runtime>& runtimes, const std::string& directory) {
    std::printf("\n%-28s", "largest resident set, KiB");
    for (const Runtime& runtime : runtimes)
        std::printf("%10s", runtime.name.c_str());
    const std::pair<const char*, std::vector<std::string>> commands[] = {
        {"run", {"run", "--bundle", directory + "/plain", "box"}},
        {"run, filter cold", {"run", "--bundle", directory + "/filter", "box"}},
        {"run, filter", {"run", "--bundle", directory + "/filter", "box"}},
        {"create", {"create", "--bundle", directory + "/sleep", "box"}},
        {"start", {"start", "box"}},
        {"state", {"state", "box"}},
        {"exec", {"exec", "box", "/busybox", "true"}},
        {"delete", {"delete", "--force", "box"}},
    };
    for (const Runtime& runtime : runtimes)
        fs::remove_all(directory + "/" + runtime.name + "/.filters");
    for (const auto& [name, words] : commands) {
        std::printf("\n%-28s", name);
        for (const Runtime& runtime : runtimes)
            std::printf("%10s", peak(runtime, words, directory).c_str());
        std::fflush(stdout);
    }
    std::printf("\n");
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
        if (done) // real-time processes are not let into groups of this controller
            umount2("/sys/fs/cgroup/cpu", MNT_DETACH);
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

/// We are its subreaper. What the kernel takes to end it is not part of "delete".
void reap_container() {
    while (wait(nullptr) < 0 && errno == EINTR) {
    }
}

void round_of(const Runtime& runtime, const std::string& directory) {
    const std::string& name = runtime.name;
    step("run", runtime, {"run", "--bundle", directory + "/plain", name});
    fs::remove_all(directory + "/" + name + "/.filters");
    step("run, filter cold", runtime, {"run", "--bundle", directory + "/filter", name});
    step("run, filter", runtime, {"run", "--bundle", directory + "/filter", name});
    if (!step("create", runtime, {"create", "--bundle", directory + "/sleep", name}))
        return;
    step("state", runtime, {"state", name});
    step("start", runtime, {"start", name});
    step("exec", runtime, {"exec", name, "/busybox", "true"});
    step(nullptr, runtime, {"kill", name, "KILL"});
    reap_container();
    step("delete", runtime, {"delete", "--force", name});
}

void floor_round(const std::string& rootfs, const std::vector<sock_filter>& filter) {
    for (const bool filtered : {false, true}) {
        const Clock::time_point begin = Clock::now();
        const int status = ocirun_bench::run_floor(rootfs, filtered ? filter : std::vector<sock_filter>{});
        const double took = since(begin);
        if (status == 0)
            results[filtered ? "run, filter" : "run"]["floor"].milliseconds.push_back(took);
        else
            std::fprintf(stderr, "the floor fails with status %d\n", status);
    }
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values.empty() ? -1 : values[values.size() / 2];
}

double median_of(const char* name, const std::string& runtime) {
    return median(results[name][runtime].milliseconds);
}

void print_tables(const std::vector<Runtime>& runtimes, int rounds) {
    std::printf("\n%-18s%10s", ("median of " + std::to_string(rounds)).c_str(), "floor");
    for (const Runtime& runtime : runtimes)
        std::printf("%10s", runtime.name.c_str());
    std::printf("   of crun  x floor\n");
    for (const char* const name : steps) {
        const double floor = median_of(name, "floor"), own = median_of(name, "ocirun"), crun = median_of(name, "crun");
        std::printf("%-18s", name);
        if (floor > 0)
            std::printf("%10.2f", floor);
        else
            std::printf("%10s", "");
        for (const Runtime& runtime : runtimes)
            std::printf("%10.2f", median_of(name, runtime.name));
        if (crun > 0)
            std::printf("%10.2f", own / crun);
        if (floor > 0)
            std::printf("%9.1f", own / floor);
        std::printf("\n");
    }
    std::printf("with the cached filter, of crun without any: %.2f\n",
                median_of("run, filter", "ocirun") / median_of("run", "crun"));
}

void print_versions(const std::vector<Runtime>& runtimes) {
    for (const Runtime& runtime : runtimes) {
        std::string text = base::run_checked({runtime.command.front(), "--version"});
        std::replace(text.begin(), text.end(), '\n', ' ');
        std::printf("%s\n", text.c_str());
    }
}

} // namespace

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 50;
    const base::TempDir directory("ocirun-bench");
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    make_namespace();
    ocirun_bench::write_bundle(directory / "plain", false, R"(["/busybox", "true"])");
    ocirun_bench::write_bundle(directory / "filter", true, R"(["/busybox", "true"])");
    ocirun_bench::write_bundle(directory / "sleep", true, R"(["/busybox", "sleep", "1000"])");
    ocirun_bench::write_bundle(directory / "floor", false, R"(["/busybox", "true"])");
    const std::vector<sock_filter> filter = ocirun_bench::compiled_filter();
    std::vector<Runtime> runtimes;
    for (const char* path : {OCIRUN, "/usr/bin/crun", "/usr/sbin/runc"}) {
        const std::string name = fs::path(path).filename();
        if (fs::exists(path))
            runtimes.push_back({name, {path, "--root", directory / name}, name != "ocirun"});
    }
    print_versions(runtimes);
    std::fflush(stdout);
    // Their output is a pipe's or a terminal's business; here it is nobody's.
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int output = dup(1);
    dup2(null, 0);
    dup2(null, 1);
    for (int round = 0; round < rounds; ++round) {
        floor_round(directory / "floor/rootfs", filter);
        for (const Runtime& runtime : runtimes)
            round_of(runtime, directory.path());
    }
    const std::string trace = ocirun_bench::trace_of_run(directory.path(), rounds);
    dup2(output, 1);
    print_tables(runtimes, rounds);
    print_peaks(runtimes, directory.path());
    std::printf("\n%s", trace.c_str());
    return 0;
}
