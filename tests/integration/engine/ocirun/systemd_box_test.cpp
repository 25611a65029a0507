// Debian's systemd as a container of ocirun's, its cgroup handed over to it; and in there ocirun with
// --systemd-cgroup, on the real manager. The host needs no systemd running; its programs are what the container's /usr
// is.
#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <memory>

#include <fmt/format.h>

#include "bundle.hpp"

using ocirun_test::Bundle;
namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

// `oci` is ocirun with systemd; `config CGROUPS-PATH RESOURCES PROGRAM-ARGUMENT` writes the working directory's
// config.json for the probe. $users is added to it for user namespaces.
constexpr const char* prelude = R"(
set -u
export PATH=/usr/sbin:/usr/bin:/atoll
users=
namespaces='{"type": "mount"}, {"type": "pid"}, {"type": "cgroup"}'
config() { cat >config.json <<END
{"ociVersion": "1.2.0", "root": {"path": "rootfs"},
 "process": {"cwd": "/", "args": ["/probe", "$3"], "env": ["PATH=/"]},
 "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
 "linux": {"cgroupsPath": "$1", "resources": $2, "namespaces": [$namespaces]$users}}
END
}
oci() { ocirun --root $PWD/state --systemd-cgroup "$@"; }
create() { oci create "$@" </dev/null >/dev/null; }
show() { local unit=$1; shift; for name; do systemctl $manager show $unit -p $name; done; }
units() { systemctl $manager list-units --all --plain --no-legend "$@" | cut -d' ' -f1; }
seen() { grep -o '0::[^\\]*'; } # the cgroup that the probe reports
await() { local i; for i in $(seq 1200); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done; echo "in vain: $*"; return 1; }
is() { systemctl $manager is-active -q $1; }
is_not() { ! is $1; }
manager=--system
bundle() { mkdir -p $1/rootfs/proc && cd $1 && cp /atoll/ocirun_probe rootfs/probe; }
)";

struct Box : Bundle {
    Box() {
        for (const char* name :
             {"etc/systemd/system", "var/tmp", "var/log", "var/lib", "run", "tmp", "sys", "dev", "usr", "atoll"})
            fs::create_directories(rootfs("/") + name);
        for (const char* name : {"bin", "sbin", "lib", "lib64"})
            fs::create_symlink(std::string("usr/") + name, rootfs("/") + name);
        make_file("/etc/passwd",
                  "root:x:0:0::/root:/bin/sh\nmessagebus:x:100:100::/:/bin/false\nu:x:1000:1000::/:/bin/sh\n");
        make_file("/etc/group", "root:x:0:\nmessagebus:x:100:\nu:x:1000:\n");
        make_file("/etc/nsswitch.conf", "passwd: files\ngroup: files\n");
        make_file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        make_file("/etc/systemd/system/box.target", "[Unit]\nRequires=dbus.service\nAfter=dbus.service\n");
        make_file("/etc/containers/policy.json", R"({"default": [{"type": "insecureAcceptAnything"}]})");
        process()["args"] = json::array{"/usr/lib/systemd/systemd", "--unit=box.target"};
        process()["env"] = json::array{"PATH=/usr/sbin:/usr/bin", "container=ocirun"};
        process()["noNewPrivileges"] = false;
        json::array names;
        for (const char* name :
             {"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_ADMIN", "SETFCAP",
              "SETGID", "SETPCAP", "SETUID", "SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE"})
            names.emplace_back(std::string("CAP_") + name);
        process()["capabilities"] = json::object{{"bounding", names}, {"permitted", names}, {"effective", names}};
        for (const char* place : {"/run", "/tmp"})
            add_mount(fmt::format(R"({{"destination": "{}", "type": "tmpfs", "source": "x"}})", place));
        add_mount(R"({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"})");
        add_mount(R"({"destination": "/usr", "source": "/usr", "options": ["rbind", "ro"]})");
        add_mount(fmt::format(R"({{"destination": "/atoll", "source": "{}", "options": ["rbind", "ro"]}})",
                              fs::path(OCIRUN).parent_path().string()));
        save();
        base::SpawnOptions options;
        options.directory = path();
        const base::UniqueFd log = base::open_file(path() + "/log", O_WRONLY | O_CREAT, 0644);
        options.stdout_fd = options.stderr_fd = log.get();
        BOOST_REQUIRE(
            base::Child::spawn({OCIRUN, "--root", state_root(), "run", "-d", "box"}, options).wait().success());
        // The bus is the last thing that starts.
        BOOST_REQUIRE_MESSAGE(sh("await systemctl is-active -q box.target; systemctl is-system-running").output ==
                                  "running\n",
                              base::read_file(path() + "/log") << sh("systemctl --failed --no-pager").output);
    }
    ~Box() { ocirun({"delete", "--force", "box"}); }

    base::RunResult sh(const std::string& script) const {
        return ocirun({"exec", "box", "bash", "-c", prelude + script});
    }
};

std::unique_ptr<Box> box; // of the suite: to boot takes longer than a case

struct Suite {
    void setup() { box = std::make_unique<Box>(); }
    void teardown() { box.reset(); }
};

/// The script's output and errors.
std::string text(const std::string& script) {
    const base::RunResult result = box->sh("exec 2>&1\n" + script);
    BOOST_TEST(result.errors == "");
    BOOST_TEST((result.status.signal == 0 && result.status.code < 128), result.status.describe());
    return result.output;
}

} // namespace

BOOST_AUTO_TEST_SUITE(systemd_box, *boost::unit_test::fixture<Suite>())

BOOST_AUTO_TEST_CASE(a_whole_life_in_a_scope) {
    BOOST_TEST(text(R"(
        bundle /run/b
        config machine.slice:pod:box '{}' wait
        create box; show pod-box.scope Slice ControlGroup Delegate ActiveState
        grep ^0: /proc/$(oci state box | grep -o '"pid": [0-9]*' | cut -d' ' -f2)/cgroup
        oci start box
        oci exec box /probe | seen
        oci update --pids-limit -1 --cpu-period 50000 box; show pod-box.scope TasksMax
        oci pause box; systemctl daemon-reload; oci state box | grep -o paused; grep frozen /sys/fs/cgroup/machine.slice/pod-box.scope/cgroup.events
        oci resume box; oci state box | grep -o running
        oci ps --format json box | wc -l
        oci kill box KILL; await is_not pod-box.scope
        oci state box | grep -o stopped; oci delete box; units 'pod*'; ls state; ls -d /sys/fs/cgroup/machine.slice/*/
    )") == "Slice=machine.slice\nControlGroup=/machine.slice/pod-box.scope\nDelegate=yes\nActiveState=active\n"
           "0::/machine.slice/pod-box.scope\n0::/\nTasksMax=infinity\npaused\nfrozen 1\nrunning\n1\nstopped\n"
           "ls: cannot access '/sys/fs/cgroup/machine.slice/*/': No such file or directory\n");
}

// The one controller that the container of systemd has here, and one that systemd does not know.
BOOST_AUTO_TEST_CASE(limits_are_in_the_group) {
    BOOST_TEST(text(R"(
        bundle /run/e
        config machine.slice:pod:box '{"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}' wait
        create box; cat /sys/fs/cgroup/machine.slice/pod-box.scope/hugetlb.2MB.max
        systemctl daemon-reload
        echo '{"hugepageLimits": [{"pageSize": "2MB", "limit": 2097152}]}' | oci update -r - box
        cat /sys/fs/cgroup/machine.slice/pod-box.scope/hugetlb.2MB.max
        oci delete --force box; units 'pod*'
    )") == "4194304\n2097152\n");
}

// As a privileged pod of Kubernetes has it.
BOOST_AUTO_TEST_CASE(the_group_is_mounted_without_a_namespace) {
    BOOST_TEST(text(R"(
        bundle /run/d
        namespaces='{"type": "mount"}, {"type": "pid"}'
        config machine.slice:pod:box '{}' wait
        sed -i 's|"mounts": \[|&{"destination": "/group", "type": "cgroup", "source": "cgroup", "options": ["ro"]},|' config.json
        create box; oci start box
        pid=$(oci state box | grep -o '"pid": [0-9]*' | cut -d' ' -f2)
        stat -c %i /proc/$pid/root/group /sys/fs/cgroup/machine.slice/pod-box.scope | uniq | wc -l
        touch /proc/$pid/root/group/cgroup.freeze 2>&1 | grep -o 'Read-only.*'
        oci delete --force box; units 'pod*'
    )") == "1\nRead-only file system\n");
}

// systemd takes a scope whose group was removed behind its back for running: the next of that name would be refused.
BOOST_AUTO_TEST_CASE(a_name_is_free_again_at_once) {
    BOOST_TEST(text(R"(
        bundle /run/c
        config machine.slice:pod:box '{}' wait
        for i in 1 2 3 4 5; do create box && oci start box && oci delete --force box; done
        config machine.slice:pod:box '{}' report
        for i in 1 2 3 4 5; do oci run box >/dev/null; done
        config machine.slice:pod:box '{"memory": {"limit": 100000000}}' report
        oci run box; oci run box # both fail for the same reason
        units 'pod*'; ls state
        systemd-run -q --scope --unit pod-box sleep 1000 &
        await is pod-box.scope
        config machine.slice:pod:box '{}' report
        oci run box
        systemctl stop pod-box.scope
    )") == "ocirun: linux.resources.memory.limit: cgroup controller \"memory\" is not available in "
           "/sys/fs/cgroup/machine.slice/pod-box.scope (memory.max)\n"
           "ocirun: linux.resources.memory.limit: cgroup controller \"memory\" is not available in "
           "/sys/fs/cgroup/machine.slice/pod-box.scope (memory.max)\n"
           "ocirun: /atoll/ocirun-systemd: exit code 1: ocirun-systemd: start pod-box.scope: systemd has a unit of "
           "this name; "
           "is it "
           "another container's? \"systemctl stop pod-box.scope\" ends it\n");
}

// The container of systemd has no controllers here; what it is told of limits it keeps all the same.
BOOST_AUTO_TEST_CASE(limits_are_properties) {
    BOOST_TEST(text(R"(
        sleep 1000 &
        ocirun-systemd start a.scope a-b.slice $! memory.max=64M memory.low=4096 memory.swap.max=0 pids.max=33 cpu.weight=200 \
            'cpu.max=33333 70000' cpuset.cpus=0-1,8 cpuset.mems=0 'io.weight=default 500' hugetlb.2MB.max=0
        show a.scope ControlGroup MemoryMax MemoryLow MemorySwapMax TasksMax CPUWeight CPUQuotaPerSecUSec CPUQuotaPeriodUSec \
            AllowedCPUs AllowedMemoryNodes IOWeight
        systemctl daemon-reload; show a.scope CPUQuotaPerSecUSec CPUQuotaPeriodUSec
        ocirun-systemd set a.scope 'cpu.max=1000 200000'; systemctl daemon-reload; show a.scope CPUQuotaPerSecUSec
        ocirun-systemd set a.scope memory.max=max 'cpu.max=max 100000' pids.max=max
        show a.scope MemoryMax CPUQuotaPerSecUSec TasksMax MemoryLow
        ocirun-systemd set a.scope memory.max=1e3; ocirun-systemd set none.scope pids.max=1
        ocirun-systemd stop a.scope; ocirun-systemd stop a.scope; units a.scope
    )") == "ControlGroup=/a.slice/a-b.slice/a.scope\nMemoryMax=67108864\nMemoryLow=4096\nMemorySwapMax=0\nTasksMax=33\n"
           "CPUWeight=200\nCPUQuotaPerSecUSec=480ms\nCPUQuotaPeriodUSec=70ms\nAllowedCPUs=0-1 "
           "8\nAllowedMemoryNodes=0\n"
           "IOWeight=500\nCPUQuotaPerSecUSec=480ms\nCPUQuotaPeriodUSec=70ms\nCPUQuotaPerSecUSec=10ms\nMemoryMax="
           "infinity\nCPUQuotaPerSecUSec=infinity\nTasksMax=infinity\nMemoryLow=4096\n"
           "ocirun-systemd: memory.max=1e3: \"1e3\" is no number\n"
           "ocirun-systemd: change none.scope: Unit none.scope not found.\n");
}

// A user's own manager. His session is outside of its tree, so it is systemd that moves what he runs there.
BOOST_AUTO_TEST_CASE(a_users_manager) {
    BOOST_TEST(
        text(R"(
        mkdir -p /run/user/1000/systemd/user; cd /run/user/1000/systemd/user
        printf '[Socket]\nListenStream=%%t/bus\n' >dbus.socket
        printf '[Unit]\nRequires=dbus.socket\n[Service]\nType=notify\nExecStart=dbus-daemon --session --address=systemd: --nofork --nopidfile\n' >dbus.service
        printf '[Unit]\nRequires=dbus.service\nAfter=dbus.service\n' >box.target
        bundle /run/u
        chown -R u:u /run/user/1000 /run/u
        systemd-run -q --unit users-manager --slice user-1000.slice -p User=u -p Delegate=yes -p Type=notify \
            -E XDG_RUNTIME_DIR=/run/user/1000 /usr/lib/systemd/systemd --user --unit=box.target || exit
        export XDG_RUNTIME_DIR=/run/user/1000 manager=--user
        cat >script <<'END'
            users=', "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}], "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}]'
            namespaces="$namespaces, {\"type\": \"user\"}"
            config user.slice:pod:box '{}' wait
            await is box.target
            create box; show pod-box.scope ControlGroup
            oci start box; oci exec box /probe exit 3; echo $?
            oci exec box /probe | seen
            oci pause box; oci state box | grep -o paused; oci resume box
            oci update --pids-limit 5 box
            oci delete --force box
            config '' '{}' report
            oci run box | seen
            units 'pod*' 'ocirun*'; ls state
END
        export -f config oci create show units seen await is; export namespaces
        setpriv --reuid 1000 --regid 1000 --clear-groups bash -u script
    )") ==
        "ControlGroup=/user.slice/user-1000.slice/users-manager.service/user.slice/pod-box.scope\n3\n0::/\npaused\n"
        "ocirun: pids.limit: cgroup controller \"pids\" is not available in /sys/fs/cgroup/user.slice/user-1000.slice/"
        "users-manager.service/user.slice/pod-box.scope (pids.max)\n0::/\n");
}

BOOST_AUTO_TEST_CASE(podman_with_systemd) {
    BOOST_TEST(text(R"(
        mkdir /run/p; cd /run/p
        mkdir -p image/bin; cp /usr/bin/busybox image/bin
        for name in sh sleep; do ln -s busybox image/bin/$name; done
        tar -C image -cf image.tar .
        printf '[engine]\nevents_logger="file"\n' >containers.conf
        export CONTAINERS_CONF=$PWD/containers.conf HOME=$PWD
        p() { podman --storage-driver vfs --root $HOME/root --runroot $HOME/run --tmpdir $HOME/tmp --cgroup-manager systemd \
            --runtime /atoll/ocirun "$@"; }
        limits='--network none --pids-limit 0 --ulimit nofile=100:100 --ulimit nproc=50:50'
        p import image.tar box:1 >/dev/null 2>&1
        p run --rm $limits box:1 sh -c 'exit 7'; echo $?
        id=$(p run -d --name a $limits box:1 sleep 1000)
        show libpod-$id.scope Slice ActiveState
        p exec a sh -c 'exit 5'; echo $?
        p pause a >/dev/null; p ps -a --format '{{.Status}}'; p unpause a >/dev/null
        p rm -f -t 0 a >/dev/null; await is_not libpod-$id.scope; units "libpod-$id*"
    )") == "7\nSlice=machine.slice\nActiveState=active\n5\nPaused\n");
}

BOOST_AUTO_TEST_SUITE_END()
