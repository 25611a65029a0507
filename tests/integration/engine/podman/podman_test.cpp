// Debian's podman and conmon with ocirun as their runtime, in namespaces of their own: nothing of the host's podman is
// touched, and what a case leaves ends with its pid namespace.
#include <boost/test/unit_test.hpp>

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "base/files.hpp"
#include "base/process.hpp"

namespace {

namespace fs = std::filesystem;

// `p` is podman, `run` it with what every container here gets: no controller and no capability of the host is needed.
constexpr const char* prelude = R"(
set -u
umount -l /sys/fs/cgroup/unified 2>/dev/null && umount -R -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /dev/shm
ip link set lo up
export CONTAINERS_CONF=$PLACE/containers.conf HOME=$PLACE
p() { podman --root $PLACE/root --runroot $PLACE/run --tmpdir $PLACE/tmp --cgroup-manager cgroupfs \
    --runtime $OCIRUN "$@"; }
limits="--pids-limit 0 --ulimit nofile=100:100 --ulimit nproc=50:50"
run() { p run --network none $limits "$@"; }
export -f p run
export limits
p import $PLACE/image.tar box:1 >/dev/null 2>&1 || exit 99
)";

struct Podman {
    Podman() : directory_("podman-test", "/var/tmp") {
        const fs::path image(directory_ / "image");
        fs::create_directories(image / "bin");
        fs::copy_file("/bin/busybox", image / "bin/busybox");
        for (const char* name :
             {"sh", "sleep", "true", "cat", "echo", "ls", "id", "env", "tty", "touch", "hostname", "pwd"})
            fs::create_symlink("busybox", image / "bin" / name);
        std::ofstream(image / "bin/text") << "no program";
        base::run_checked({"tar", "-C", image, "-cf", directory_ / "image.tar", "."});
        std::ofstream(directory_ / "containers.conf")
            << "[engine]\ncgroup_manager=\"cgroupfs\"\nevents_logger=\"file\"\n";
        const char* const mount =
            access("/sys/fs/cgroup/cgroup.procs", F_OK) == 0 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/unified";
        group_ = fmt::format("{}/podman-test-{}", mount, getpid());
    }
    ~Podman() {
        // Groups of podman's own, empty; those of containers the cases look for.
        base::run({"find", group_, "-depth", "-type", "d", "-delete"});
    }

    /// Runs it after the prelude; the group it is in is the root of its cgroup namespace.
    base::RunResult sh(const std::string& script) const {
        fs::create_directory(group_);
        base::RunOptions options;
        options.timeout = std::chrono::minutes(4);
        options.spawn.environment = {fmt::format("OCIRUN={}", OCIRUN), fmt::format("PLACE={}", directory_.path())};
        const base::UniqueFd group = base::open_file(group_, O_RDONLY | O_DIRECTORY);
        options.spawn.cgroup_fd = group.get();
        return base::run({"unshare", "--mount", "--net", "--pid", "--cgroup", "--fork", "--mount-proc", "--propagation",
                          "private", "bash", "-c", prelude + script},
                         options);
    }
    /// Fails the test unless it succeeds.
    std::string checked(const std::string& script) const {
        const base::RunResult result = sh(script);
        BOOST_TEST(result.status.success(), result.status.describe() + ": " + result.output + result.errors);
        return result.output;
    }
    std::string typescript() const { return base::read_file(directory_ / "typescript"); }
    std::string containers_groups() const { return base::run({"find", group_, "-name", "libpod-*"}).output; }

private:
    base::TempDir directory_;
    std::string group_;
};

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(podman, Podman)

BOOST_AUTO_TEST_CASE(run_passes_on_output_and_code) {
    BOOST_TEST(checked("run --rm box:1 echo hello") == "hello\n");
    BOOST_TEST(checked("run --rm box:1 sh -c 'exit 7'; echo $?") == "7\n");
    const base::RunResult missing = sh("run --rm box:1 /nothing");
    BOOST_TEST(missing.status.code == 127);
    BOOST_TEST(contains(missing.errors, "exec \"/nothing\": No such file or directory"), missing.errors);
    BOOST_TEST(sh("run --rm box:1 nothing").status.code == 127);
    BOOST_TEST(sh("run --rm box:1 /bin/text").status.code == 126);
    BOOST_TEST(checked("p ps -aq") == "");
    BOOST_TEST(containers_groups() == "");
}

BOOST_AUTO_TEST_CASE(exec_in_a_running_container) {
    const std::string output = checked(R"(
        run -d --name a box:1 sleep 1000 >/dev/null || exit 1
        p exec a id -u
        p exec -u 5:6 -w /bin -e A=b a sh -c 'id -u; id -g; pwd; echo $A'
        p exec a sh -c 'exit 5'; echo $?
        p exec a /nothing 2>/dev/null; echo $?
        echo in | p exec -i a cat
        p exec -d a touch /made >/dev/null
        until p exec a ls /made 2>/dev/null; do :; done
        # script runs $SHELL, else /bin/sh: that may be a dash, which drops bash's functions from the environment.
        SHELL=$BASH script -qec 'p exec -it a sh -c "exit 8"' $PLACE/typescript </dev/null >/dev/null
        echo $?
        p rm -f -t 0 a >/dev/null)");
    BOOST_TEST_INFO(typescript()); // what podman and conmon said there
    BOOST_TEST(output == "0\n5\n6\n/bin\nb\n5\n127\nin\n/made\n8\n");
    BOOST_TEST(containers_groups() == "");
}

BOOST_AUTO_TEST_CASE(a_whole_life) {
    const std::string output = checked(R"(
        run -d --name a --stop-signal KILL box:1 sh -c 'echo started; exec sleep 1000' >/dev/null || exit 1
        status() { p inspect --format '{{.State.Status}}' a; }
        status
        p pause a >/dev/null; status
        p unpause a >/dev/null; status
        p top a args | tail -n 1
        p stats --no-stream --format '{{.Name}}' a 2>/dev/null
        p logs a
        p restart -t 0 a >/dev/null; status
        p stop -t 10 a >/dev/null; status
        p start a >/dev/null; status
        p kill -s KILL a >/dev/null; p wait a
        p rm a >/dev/null
        p ps -aq)");
    BOOST_TEST(output == "running\npaused\nrunning\nsleep 1000 \na\nstarted\nrunning\nexited\nrunning\n137\n");
    BOOST_TEST(containers_groups() == "");
}

BOOST_AUTO_TEST_CASE(what_podman_asks_for_is_there) {
    const std::string output = checked(R"(
        mkdir -p $PLACE/volume; echo volume >$PLACE/volume/file
        run --rm --read-only --tmpfs /scratch:size=1m -v $PLACE/volume:/data:ro --cap-drop all --hostname other \
            --sysctl net.ipv4.ip_forward=1 --security-opt no-new-privileges --user 4:5 --env A=b box:1 sh -c '
            id -u; id -g; hostname; cat /data/file /proc/sys/net/ipv4/ip_forward; echo $A
            touch /x 2>/dev/null; echo $?; touch /data/x 2>/dev/null; echo $?; touch /scratch/x; echo $?
            while read key value; do case $key in CapBnd:|NoNewPrivs:|Seccomp:) echo $value;; esac; done </proc/self/status'
        run --rm --uidmap 0:100000:1000 box:1 cat /proc/self/uid_map
        run --rm --privileged box:1 sh -c 'while read key value; do [ $key = Seccomp: ] && echo $value; done </proc/self/status'
        p run --rm --network host $limits box:1 echo host
    )");
    BOOST_TEST(output == "4\n5\nother\nvolume\n1\nb\n1\n1\n0\n0000000000000000\n1\n2\n"
                         "         0     100000       1000\n0\nhost\n");
}

BOOST_AUTO_TEST_CASE(a_pod_of_two) {
    BOOST_TEST(checked(R"(
        p pod create --name pod --infra=false >/dev/null || exit 1
        for name in a b; do p create --name $name --pod pod --network none $limits box:1 sleep 1000 >/dev/null; done
        p pod start pod >/dev/null; p ps -q | wc -l
        p pod rm -f -t 0 pod >/dev/null; p ps -aq | wc -l)") == "2\n0\n");
    BOOST_TEST(containers_groups() == "");
}

BOOST_AUTO_TEST_SUITE_END()
