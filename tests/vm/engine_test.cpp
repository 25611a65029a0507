// The engine dies, hangs and comes back; what it runs does not notice.
#include <chrono>

#include "base/files.hpp"
#include "shared_rig.hpp"

namespace {

using vm_test::Seconds;

qemu::Rig& rig() {
    return vm_test::SharedRig::get(vm_test::rig_options("engine", qemu::Firmware::bios));
}

std::string engine_pid() {
    std::string pid = rig().machine().run_checked("pidof engined");
    return pid.substr(0, pid.find_first_of(" \n"));
}

/// Until it succeeds, also while nobody answers: the rig's shell is itself a container, which dies with the others.
void await(const std::string& command) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(5);
    for (;;) {
        try {
            rig().machine().run_until(command, Seconds(30));
            return;
        } catch (const base::Error& error) {
            if (std::chrono::steady_clock::now() > deadline || !rig().machine().running())
                throw;
            BOOST_TEST_MESSAGE("not yet: " << error.what());
        }
    }
}

/// Waits for an engined with another pid that answers.
void wait_for_new_engine(const std::string& old_pid) {
    await("p=$(pidof engined) && [ \"${p%% *}\" != " + old_pid + " ] && enginectl health");
}

/// init may have been faster, when the machine is slow: an engine that is silent for half a minute it kills itself.
void kill_engine(const std::string& pid) {
    rig().machine().run_checked("kill -9 " + pid + " || [ ! -e /proc/" + pid + " ]");
}

/// A profile for AppArmor's .load that allows everything and has a name, in the kernel's binary format (version 5): the
/// parser of the text form is in no image of ours.
std::string apparmor_profile(const std::string& name) {
    std::string blob;
    const auto number = [&](std::size_t value, int bytes) {
        for (int byte = 0; byte < bytes; ++byte)
            blob += static_cast<char>(value >> 8 * byte & 0xff);
    };
    const auto text = [&](char tag, const std::string& content) {
        blob += tag;
        number(content.size() + 1, 2);
        blob += content;
        blob += '\0';
    };
    constexpr char word = 2, label = 4, string = 5, begin = 7, end = 8;
    const auto word_of = [&](std::size_t value) {
        blob += word;
        number(value, 4);
    };
    text(label, "version");
    word_of(5);
    text(label, "profile");
    blob += begin;
    text(string, name);
    text(label, "flags");
    blob += begin;
    for (const std::size_t flag : {0U, 1U, 0U}) // no hat; complain, do not enforce; no audit of everything
        word_of(flag);
    blob += end;
    for (int set = 0; set < 4; ++set) // capabilities
        word_of(0);
    blob += end;
    std::string escaped;
    for (const char byte : blob) {
        char octal[8];
        std::snprintf(octal, sizeof octal, "\\%03o", static_cast<unsigned>(static_cast<unsigned char>(byte)));
        escaped += octal;
    }
    return escaped;
}

std::string pid_of(const std::string& container) {
    return rig().docker_checked({"inspect", "-f", "{{.State.Pid}}", container});
}

std::string system_container(const std::string& service) {
    return rig().docker_checked({"ps", "-q", "--filter", "label=atoll.system=" + service});
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(engine, vm_test::SharedRig::CollectLogs)

BOOST_AUTO_TEST_CASE(docker_client_from_outside) {
    qemu::Rig& machine = rig();
    machine.docker_checked({"version"});
    machine.docker_checked({"info"});
    machine.docker_checked({"load", "-i", vm_test::images().container_image()});
    BOOST_TEST(machine.docker_checked({"images", "--format", "{{.Repository}}:{{.Tag}}", "busybox"}) == "busybox:1");
    const auto result = machine.docker({"run", "--rm", "busybox:1", "sh", "-c", "echo out; echo err >&2; exit 42"});
    BOOST_TEST(result.output == "out\n");
    BOOST_TEST(result.errors == "err\n");
    BOOST_TEST(result.status.code == 42);
    machine.docker_checked({"run", "-d", "--name", "short", "busybox:1", "sh", "-c", "exit 3"});
    BOOST_TEST(machine.docker_checked({"wait", "short"}) == "3");
    machine.docker_checked({"run", "-d", "--name", "killed", "busybox:1", "sleep", "1000"});
    machine.docker_checked({"kill", "killed"});
    BOOST_TEST(machine.docker_checked({"wait", "killed"}) == "137");
    machine.docker_checked({"rm", "short", "killed"});
    BOOST_TEST(machine.docker_checked({"ps", "-aq"}).empty());
}

// The host of the integration tests has no AppArmor.
BOOST_AUTO_TEST_CASE(an_apparmor_profile_is_in_force) {
    qemu::Machine& machine = rig().machine();
    machine.run_checked("mkdir -p /run/aa/rootfs/usr && cd /run/aa/rootfs && ln -s usr/bin usr/lib usr/lib64 .");
    const auto configure = [&](const std::string& profile) {
        machine.write_file("/run/aa/config.json",
                           R"({"ociVersion": "1.1.0", "root": {"path": "rootfs"}, "process": {"cwd": "/",
            "args": ["/bin/busybox", "cat", "/proc/self/attr/apparmor/current"], "apparmorProfile": ")" +
                               profile + R"("}, "mounts": [{"destination": "/proc", "type": "proc"},
                       {"destination": "/usr", "source": "/usr", "options": ["rbind", "ro"]}],
            "linux": {"cgroupsPath": "/aa", "namespaces": [{"type": "mount"}, {"type": "pid"}]}})");
    };
    configure("atoll-test");
    const auto missing = machine.run("cd /run/aa && ocirun --cgroup-manager disabled run aa 2>&1");
    BOOST_TEST(missing.code == 1);
    BOOST_TEST(missing.output.find("process.apparmorProfile: atoll-test: write: No such file or directory") !=
                   std::string::npos,
               missing.output);
    machine.run_checked("[ -e /sys/kernel/security/apparmor ] || mount -t securityfs none /sys/kernel/security");
    machine.run_checked("printf '" + apparmor_profile("atoll-test") + "' > /sys/kernel/security/apparmor/.load");
    BOOST_TEST(
        machine.run_checked("cd /run/aa && ocirun --cgroup-manager disabled run aa").find("atoll-test (complain)") !=
        std::string::npos);
    configure("unconfined");
    BOOST_TEST(machine.run_checked("cd /run/aa && ocirun --cgroup-manager disabled run aa").find("unconfined") !=
               std::string::npos);
    machine.run_checked("rm -r /run/aa");
}

BOOST_AUTO_TEST_CASE(system_containers_are_hidden_and_safe) {
    qemu::Rig& machine = rig();
    const std::string system = machine.docker_checked({"ps", "-aq", "--filter", "label=atoll.system"});
    BOOST_TEST(!system.empty());
    BOOST_TEST(machine.docker_checked({"ps", "-aq"}).empty());
    const std::string echo = system_container("echo");
    const std::string pid = pid_of(echo);
    for (const char* verb : {"stop", "kill", "pause", "restart"})
        BOOST_TEST(!machine.docker({verb, echo}).status.success(), verb << " of a system container was not refused");
    BOOST_TEST(!machine.docker({"rm", "-f", echo}).status.success());
    BOOST_TEST(!machine.docker({"exec", echo, "true"}).status.success());
    BOOST_TEST(pid_of(echo) == pid);
}

// ocirun itself, with what the machine that builds has no controllers for. The rig's shell is a container with a cgroup
// namespace: it can make processes only below its own group, which for that must have no process itself.
BOOST_AUTO_TEST_CASE(limits_of_the_runtime) {
    qemu::Machine& machine = rig().machine();
    machine.write_file("/run/limits.sh", base::read_file(vm_test::places().source + "/tests/vm/limits.sh"));
    machine.run_checked("cd /sys/fs/cgroup/atoll.system/guest-shell && mkdir -p leaf && "
                        "for p in $(cat cgroup.procs); do echo $p >leaf/cgroup.procs || [ ! -e /proc/$p ]; done");
    const std::string output = machine.run_checked(
        "d=$(mktemp -d /var/tmp/limits.XXXXXX) && timeout 400 sh /run/limits.sh $d "
        "/atoll.system/guest-shell >/run/limits.out 2>&1 </dev/null; rm -rf $d; cat /run/limits.out",
        Seconds(420));
    BOOST_TEST(output == base::read_file(vm_test::places().source + "/tests/vm/limits.expected"));
}

BOOST_AUTO_TEST_CASE(killed_engine_stops_nothing) {
    qemu::Rig& machine = rig();
    machine.docker_checked({"run", "-d", "--name", "talks", "busybox:1", "sh", "-c",
                            "i=0; while [ $i -lt 25 ]; do echo line $i; i=$((i+1)); sleep 1; done; exit 9"});
    machine.docker_checked({"run", "-d", "--name", "stays", "busybox:1", "sleep", "100000"});
    const std::string pid = pid_of("stays");
    const auto system_pids = [] {
        return pid_of(system_container("fleet")) + " " + pid_of(system_container("updater"));
    };
    const std::string system_before = system_pids();
    const std::string old_engine = engine_pid();
    kill_engine(old_engine);
    wait_for_new_engine(old_engine);
    BOOST_TEST(pid_of("stays") == pid);
    BOOST_TEST(system_pids() == system_before);
    // State, wait, logs from before and after, and stop still work.
    BOOST_TEST(machine.docker_checked({"inspect", "-f", "{{.State.Status}}", "stays"}) == "running");
    BOOST_TEST(machine.docker_checked({"wait", "talks"}) == "9");
    const std::string log = machine.docker_checked({"logs", "talks"});
    BOOST_TEST(log.starts_with("line 0\nline 1\n"));
    BOOST_TEST(std::count(log.begin(), log.end(), '\n') == 24);
    machine.docker_checked({"stop", "-t", "1", "stays"});
    BOOST_TEST(machine.docker_checked({"inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "stays"}) ==
               "exited 137");
    machine.docker_checked({"rm", "talks", "stays"});
}

BOOST_AUTO_TEST_CASE(container_that_ends_while_the_engine_is_away) {
    qemu::Rig& machine = rig();
    machine.machine().run_checked("mkdir -p /run/ends && rm -f /run/ends/now");
    machine.docker_checked({"run", "-d", "--name", "ends", "-v", "/run/ends:/ends", "busybox:1", "sh", "-c",
                            "until [ -e /ends/now ]; do sleep 0.1; done; echo bye; exit 5"});
    const std::string old_engine = engine_pid();
    const std::string pid = pid_of("ends");
    // Stopped: it cannot see the end. Killed afterwards, it has to find it out from the monitor.
    machine.machine().run_checked("kill -STOP " + old_engine + " && touch /run/ends/now");
    machine.machine().run_until("[ ! -e /proc/" + pid + " ]", Seconds(300));
    kill_engine(old_engine);
    wait_for_new_engine(old_engine);
    BOOST_TEST(machine.docker_checked({"wait", "ends"}) == "5");
    BOOST_TEST(machine.docker_checked({"logs", "ends"}) == "bye");
    machine.docker_checked({"rm", "ends"});
}

BOOST_AUTO_TEST_CASE(hung_engine_is_restarted) {
    qemu::Rig& machine = rig();
    machine.docker_checked({"run", "-d", "--name", "calm", "busybox:1", "sleep", "1000"});
    const std::string pid = pid_of("calm");
    const std::string old_engine = engine_pid();
    machine.machine().run_checked("kill -STOP " + old_engine);
    wait_for_new_engine(old_engine);
    BOOST_TEST(pid_of("calm") == pid);
    machine.docker_checked({"rm", "-f", "calm"});
}

BOOST_AUTO_TEST_CASE(kill_everything_and_the_services_come_back) {
    qemu::Rig& machine = rig();
    const std::string old_engine = engine_pid();
    // kill(-1) takes everybody but PID 1 and the caller: also the rig's shell, so nobody is there to answer.
    try {
        machine.machine().run("busybox setsid busybox kill -9 -1", Seconds(5));
    } catch (const base::Error& error) {
        BOOST_TEST_MESSAGE("as it should be: " << error.what());
    }
    wait_for_new_engine(old_engine);
    BOOST_TEST(machine.machine().run_checked("cat /proc/1/comm") == "init\n");
}

BOOST_AUTO_TEST_SUITE_END()
