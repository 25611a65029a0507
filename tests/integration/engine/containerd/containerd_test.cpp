// Debian's containerd with its shim for runc and ocirun as the runtime, in namespaces of their own.
#include <boost/test/unit_test.hpp>

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "base/files.hpp"
#include "base/process.hpp"
#include "base/sha256.hpp"

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

// `c` is ctr. Its socket is below /run, which is a tmpfs of ours: unix sockets take short paths only.
constexpr const char* prelude = R"(
set -u
umount -l /sys/fs/cgroup/unified 2>/dev/null && umount -R -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
ip link set lo up
containerd -c $PLACE/config.toml >$PLACE/log 2>&1 &
daemon=$!
c() { ctr -a /run/containerd.sock "$@"; }
until c version >/dev/null 2>&1; do kill -0 $daemon || exit 98; done
c image import $PLACE/image.tar >/dev/null || exit 99
run() { c run --runc-binary $OCIRUN "$@"; }
image=docker.io/library/box:1
)";

struct Containerd {
    Containerd() : directory_("containerd-test", "/var/tmp") {
        fs::create_directories(directory_ / "layer/bin");
        fs::copy_file("/bin/busybox", directory_ / "layer/bin/busybox");
        base::run_checked({"tar", "-C", directory_ / "layer", "-cf", directory_ / "layer.tar", "."});
        const std::string layer = base::sha256_hex(base::read_file(directory_ / "layer.tar"));
        const std::string config = json::serialize(
            json::object{{"architecture", "amd64"},
                         {"os", "linux"},
                         {"config", json::object{{"Env", json::array{"PATH=/bin"}}}},
                         {"rootfs", json::object{{"type", "layers"}, {"diff_ids", json::array{"sha256:" + layer}}}}});
        std::ofstream(directory_ / "config.json") << config;
        std::ofstream(directory_ / "manifest.json")
            << json::serialize(json::array{json::object{{"Config", "config.json"},
                                                        {"RepoTags", json::array{"docker.io/library/box:1"}},
                                                        {"Layers", json::array{"layer.tar"}}}});
        base::run_checked({"tar", "-C", directory_.path(), "-cf", directory_ / "image.tar", "config.json", "layer.tar",
                           "manifest.json"});
        std::ofstream(directory_ / "config.toml")
            << "version = 2\nroot = \"" << directory_ / "root"
            << "\"\nstate = \"/run/containerd\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n"
               "[grpc]\naddress = \"/run/containerd.sock\"\n";
        const char* const mount =
            access("/sys/fs/cgroup/cgroup.procs", F_OK) == 0 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/unified";
        group_ = fmt::format("{}/containerd-test-{}", mount, getpid());
    }
    ~Containerd() { base::run({"find", group_, "-depth", "-type", "d", "-delete"}); }

    std::string checked(const std::string& script) const {
        fs::create_directory(group_);
        base::RunOptions options;
        options.timeout = std::chrono::minutes(4);
        options.spawn.environment = {fmt::format("OCIRUN={}", OCIRUN), fmt::format("PLACE={}", directory_.path())};
        const base::UniqueFd group = base::open_file(group_, O_RDONLY | O_DIRECTORY);
        options.spawn.cgroup_fd = group.get();
        const base::RunResult result =
            base::run({"unshare", "--mount", "--net", "--pid", "--cgroup", "--fork", "--mount-proc", "--propagation",
                       "private", "bash", "-c", prelude + script},
                      options);
        BOOST_TEST(result.status.success(), result.status.describe() + ": " + result.output + result.errors);
        return result.output;
    }

private:
    base::TempDir directory_;
    std::string group_;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(containerd, Containerd)

BOOST_AUTO_TEST_CASE(a_whole_life) {
    const std::string output = checked(R"(
        run --rm $image a /bin/busybox echo hello
        run --rm $image b /bin/busybox sh -c 'exit 7'; echo $?
        run --rm $image c /nothing 2>&1 | grep -o 'exec "/nothing": No such file or directory'
        run -d $image d /bin/busybox sleep 1000; echo $?
        status() { c task ls | sed -n 's/^d *[0-9]* *//p'; }
        status
        c task exec --exec-id 1 d /bin/busybox id -u
        c task exec --exec-id 2 d /bin/busybox sh -c 'exit 9'; echo $?
        c task exec --exec-id 3 d /nothing 2>&1 | grep -o 'exec "/nothing": No such file or directory'
        c task pause d; status
        c task resume d; status
        c task ps d | wc -l
        c task kill -s KILL d
        until status | grep -q STOPPED; do :; done
        c task kill d 2>&1 | grep -o 'not found'
        c task rm d 2>/dev/null; c container rm d
        c container ls -q
        find /sys/fs/cgroup -name d)");
    BOOST_TEST(output == "hello\n7\nexec \"/nothing\": No such file or directory\n0\nRUNNING\n0\n9\n"
                         "exec \"/nothing\": No such file or directory\nPAUSED\nRUNNING\n2\nnot found\n");
}

BOOST_AUTO_TEST_SUITE_END()
