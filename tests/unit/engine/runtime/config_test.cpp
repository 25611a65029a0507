#include "runtime/config.hpp"

#include <linux/bpf.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/stat.h>

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "bundle.hpp"
#include "runtime/runtime.hpp"
#include "runtime/specification.hpp"

using engine::runtime::CgroupWrite;
using engine::runtime::Config;
using engine::runtime::Mount;
using engine::runtime::parse_config;
using runtime_test::with;

namespace {

Config parse(const std::string& text) {
    return parse_config(text, "config.json", "/bundle");
}

std::string problem(const std::string& text) {
    try {
        parse(text);
    } catch (const base::Error& error) {
        return error.what();
    }
    return "accepted";
}

Mount mount(const std::string& options, const std::string& type = "tmpfs") {
    return parse(with("/mounts", R"([{"destination": "/x", "source": "/s", "type": ")" + type + R"(", "options": )" +
                                     options + "}]"))
        .mounts.at(0);
}

std::string writes(const std::string& resources) {
    std::string text;
    for (const CgroupWrite& entry : parse(with("/linux/resources", resources)).linux_part.resources.writes)
        text += entry.file + "=" + entry.value + ";";
    return text;
}

} // namespace

BOOST_AUTO_TEST_SUITE(config)

BOOST_AUTO_TEST_CASE(minimal_document) {
    const Config config = parse(boost::json::serialize(runtime_test::minimal()));
    BOOST_TEST(config.root.path == "/bundle/rootfs");
    BOOST_TEST(config.process->args.at(0) == "sh");
    BOOST_TEST(!config.process->capabilities);
    BOOST_TEST((config.linux_part.find(CLONE_NEWPID) != nullptr));
    BOOST_TEST((config.linux_part.find(CLONE_NEWUSER) == nullptr));
}

struct Bad {
    const char* pointer;
    const char* value;
    const char* message;
};
std::ostream& operator<<(std::ostream& out, const Bad& bad) {
    return out << bad.pointer << " = " << bad.value;
}

const Bad bad_documents[] = {
    {"/ociVersion", "\"2.0.0\"", "ociVersion: version \"2.0.0\" is not supported: this runtime speaks 1.x"},
    {"/ociVersion", "\"1.x\"", "ociVersion: version \"1.x\" is not supported: this runtime speaks 1.x"},
    {"/ociVersion", "\"1.2\"", "ociVersion: version \"1.2\" is not supported: this runtime speaks 1.x"},
    {"/ociVersion", "\"1.2.1x\"", "ociVersion: version \"1.2.1x\" is not supported: this runtime speaks 1.x"},
    {"/root", "{}", "root: \"path\" is missing"},
    {"/process/args", "[]", "process.args: names no program"},
    {"/process/args", "[1]", "process.args[0]: expected a string"},
    {"/process/args", R"(["a\u0000b"])", "process.args[0]: contains a NUL byte"},
    {"/process/cwd", "\"tmp\"", "process.cwd: \"tmp\" is not an absolute path"},
    {"/process/env", R"(["A"])", "process.env[0]: \"A\" is not of the form NAME=value"},
    {"/process/user", R"({"uid": -1})", "process.user.uid: -1 is not in 0..4294967294"},
    {"/process/user", R"({"uid": 4294967295})", "process.user.uid: 4294967295 is not in 0..4294967294"},
    {"/process/rlimits", R"([{"type": "RLIMIT_NOFILE", "soft": 2, "hard": 1}])",
     "process.rlimits[0]: the soft limit is above the hard limit"},
    {"/process/rlimits", R"([{"type": "RLIMIT_X", "soft": 1, "hard": 1}])",
     "process.rlimits[0].type: unknown resource limit \"RLIMIT_X\""},
    {"/process/selinuxLabel", "\"x\"", "process.selinuxLabel: not supported: this runtime has no SELinux support"},
    {"/process/scheduler", "{}", "process.scheduler: \"policy\" is missing"},
    {"/process/scheduler", R"({"policy": "SCHED_ISO"})",
     "process.scheduler.policy: not supported: no Linux kernel has SCHED_ISO"},
    {"/process/scheduler", R"({"policy": "SCHED_FIFO"})",
     "process.scheduler: SCHED_FIFO and SCHED_RR need a \"priority\" of 1 to 99"},
    {"/process/scheduler", R"({"policy": "SCHED_FIFO", "priority": 1, "nice": 3})",
     "process.scheduler.nice: is for SCHED_OTHER and SCHED_BATCH only"},
    {"/process/scheduler", R"({"policy": "SCHED_OTHER", "period": 3})",
     "process.scheduler.period: is for SCHED_DEADLINE only"},
    {"/process/ioPriority", R"({"class": "IOPRIO_CLASS_BE", "priority": 8})",
     "process.ioPriority.priority: 8 is more than 7"},
    {"/process/execCPUAffinity", R"({"initial": "0-"})",
     "process.execCPUAffinity.initial: \"0-\" is no list of CPUs such as 0-3,7"},
    {"/process/execCPUAffinity", R"({"final": "3-1"})",
     "process.execCPUAffinity.final: \"3-1\" is no list of CPUs such as 0-3,7"},
    {"/process/execCPUAffinity", R"({"final": "99999"})",
     "process.execCPUAffinity.final: \"99999\" is no list of CPUs such as 0-3,7"},
    {"/linux/namespaces", R"([{"type": "pid"}])",
     "linux.namespaces: \"mount\" is missing: without it the container's mounts would be the host's"},
    {"/linux/namespaces", R"([{"type": "mount"}, {"type": "mount"}])",
     "linux.namespaces[1]: namespace \"mount\" is given twice"},
    {"/linux/namespaces", R"([{"type": "mount"}, {"type": "user"}])",
     "linux.uidMappings: a new user namespace needs both mappings"},
    {"/linux/timeOffsets", R"({"monotonic": {"secs": 1}})",
     "linux.timeOffsets: needs a new time namespace in linux.namespaces"},
    {"/linux/timeOffsets", R"({"realtime": {"secs": 1}})",
     "linux.timeOffsets.realtime: is no clock of a time namespace: \"monotonic\" and \"boottime\" are"},
    {"/linux/personality", R"({"domain": "LINUX", "flags": ["X"]})",
     "linux.personality.flags[0]: the specification has no values for it"},
    {"/linux/uidMappings", R"([{"containerID": 0, "hostID": 0, "size": 1}])",
     "linux.uidMappings: is for a user namespace, and linux.namespaces has none"},
    {"/linux/cgroupsPath", "\"/a/..\"", "linux.cgroupsPath: the root cgroup is not a container's"},
    {"/linux/sysctl", R"({"kernel.panic": "1"})",
     "linux.sysctl.kernel.panic: is not of a namespace of the container: it would change the host"},
    {"/linux/sysctl", R"({"net/../kernel/panic": "1"})", "linux.sysctl.net/../kernel/panic: is no sysctl's name"},
    {"/linux/resources", R"({"memory": {"swap": 5}})",
     "linux.resources.memory.swap: needs memory.limit: cgroup v2 limits swap by itself"},
    {"/linux/resources", R"({"memory": {"swap": 5, "limit": 6}})",
     "linux.resources.memory.swap: is less than memory.limit; it counts memory and swap together"},
    {"/linux/resources", R"({"memory": {"swappiness": 5}})",
     "linux.resources.memory.swappiness: not supported: cgroup v2 has no swappiness"},
    {"/linux/resources", R"({"unified": {"cgroup.procs": "1"}})",
     "linux.resources.unified.cgroup.procs: not supported: only controllers' files may be set"},
    {"/linux/resources", R"({"unified": {"../memory.max": "1"}})",
     "linux.resources.unified.../memory.max: is no file of a cgroup"},
    {"/linux/resources", R"({"devices": [{"allow": true, "access": "x"}]})",
     "linux.resources.devices[0].access: \"x\" is not made of r, w and m"},
    {"/linux/seccomp", R"({"defaultAction": "SCMP_ACT_NOTIFY"})",
     "linux.seccomp: SCMP_ACT_NOTIFY needs \"listenerPath\": every call it is for would fail with ENOSYS"},
    {"/linux/seccomp", R"({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"})",
     "linux.seccomp.listenerMetadata: must not be given without listenerPath"},
    {"/linux/seccomp", R"({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 5})",
     "linux.seccomp.defaultErrnoRet: is for SCMP_ACT_ERRNO and SCMP_ACT_TRACE only, not for SCMP_ACT_ALLOW"},
    {"/linux/seccomp", R"({"defaultAction": "SCMP_ACT_JUMP"})",
     "linux.seccomp.defaultAction: unknown action \"SCMP_ACT_JUMP\""},
    {"/linux/seccomp", R"({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]})",
     "linux.seccomp: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is for SCMP_ACT_NOTIFY only"},
    {"/linux/seccomp", R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["Z80"]})",
     "linux.seccomp.architectures[0]: unknown architecture \"Z80\""},
    {"/linux/intelRdt", "{}", "linux.intelRdt: not supported: cache and memory bandwidth allocation"},
    {"/linux/netDevices", "{}", "linux.netDevices: not supported: moving network devices into a container"},
    {"/linux/memoryPolicy", "{}",
     "linux.memoryPolicy: not supported: NUMA memory policies; linux.resources.cpu.mems limits the nodes"},
    {"/mounts", R"([{"destination": "/", "type": "tmpfs"}])",
     "mounts[0].destination: a mount on the root itself is not possible; use root.path"},
    {"/mounts", R"([{"destination": "/a/../..", "type": "tmpfs"}])",
     "mounts[0].destination: a mount on the root itself is not possible; use root.path"},
    {"/mounts", R"([{"destination": "/x", "options": ["bind"]}])", "mounts[0]: a bind mount needs a \"source\""},
    {"/mounts", R"([{"destination": "/x"}])", "mounts[0]: needs a \"type\", or the option \"bind\""},
    {"/mounts", R"([{"destination": "/x", "source": "/y", "options": ["bind", "size=1"]}])",
     "mounts[0]: not supported: mount option \"size\" on a bind mount"},
    {"/mounts", R"([{"destination": "/x", "type": "tmpfs", "options": ["idmap=uids"]}])",
     "mounts[0].options: an id mapping is written as uids=FILE-HOST-SIZE#...;gids=..."},
    {"/mounts", R"([{"destination": "/x", "type": "tmpfs", "options": ["idmap=uids=1-2-3"]}])",
     "mounts[0].options: an id mapping needs both uids= and gids="},
    {"/mounts", R"([{"destination": "/x", "type": "tmpfs", "options": ["idmap=uids=1-2-0;gids=1-2-1"]}])",
     "mounts[0].options: an id mapping maps nothing: its size is 0"},
    {"/mounts", R"([{"destination": "/x", "type": "tmpfs", "options": ["idmap=uids=@1-2-3;gids=1-2-1"]}])",
     "mounts[0].options: an id mapping relative to the user namespace is not within one of its ranges"},
    {"/mounts", R"([{"destination": "/x", "type": "tmpfs", "options": ["idmap"]}])",
     "mounts[0]: \"idmap\" needs \"uidMappings\" and \"gidMappings\", or a user namespace in linux.namespaces"},
    {"/mounts", R"([{"destination": "/x", "type": "tmpfs",
                    "uidMappings": [{"containerID": 0, "hostID": 1, "size": 1}]}])",
     "mounts[0]: \"uidMappings\" and \"gidMappings\" are given together or not at all"},
    {"/mounts", R"([{"destination": "/x", "options": ["remount", "idmap"]}])",
     "mounts[0]: \"remount\" changes a mount's options only: no \"rbind\", \"idmap\" or \"tmpcopyup\""},
    {"/hooks", R"({"prestart": [{"path": "rel"}]})", "hooks.prestart[0].path: \"rel\" is not an absolute path"},
    {"/hooks", R"({"poststop": [{"path": "/x", "timeout": 0}]})",
     "hooks.poststop[0].timeout: 0 is not in 1..2147483647"},
};

BOOST_DATA_TEST_CASE(problems_name_their_place, boost::unit_test::data::make(bad_documents), bad) {
    // And the section of the specification.
    const std::string message = problem(with(bad.pointer, bad.value));
    BOOST_TEST(message.starts_with("config.json: " + std::string(bad.message) + " (config"), message);
    BOOST_TEST(message.ends_with("\")"), message);
}

BOOST_AUTO_TEST_CASE(problems_name_the_section_of_the_specification) {
    using engine::runtime::specification_section;
    BOOST_TEST(specification_section("linux.seccomp.syscalls[0].args[1].op") == "config-linux.md, \"Seccomp\"");
    BOOST_TEST(specification_section("linux.resources.memory.limit") == "config-linux.md, \"Memory\"");
    BOOST_TEST(specification_section("linux.sysctl.net.ipv4[0].x") == "config-linux.md, \"Sysctl\"");
    BOOST_TEST(specification_section("linux") == "config.md, \"Platform-specific configuration\"");
    BOOST_TEST(specification_section("mounts[3].options[0]") == "config.md, \"Linux mount options\"");
    BOOST_TEST(specification_section("mounts[3].destination") == "config.md, \"Mounts\"");
    BOOST_TEST(specification_section("process.capabilities.bounding[0]") == "config.md, \"Linux Process\"");
    BOOST_TEST(specification_section("processes") == "");
    BOOST_TEST(specification_section("") == "");
    // A part of config.json, read by itself.
    try {
        engine::runtime::parse_process(R"({"args": ["a"], "cwd": "/", "user": {"uid": -1}})", "exec.json");
        BOOST_ERROR("accepted");
    } catch (const base::Error& error) {
        BOOST_TEST(std::string(error.what()) ==
                   "exec.json: user.uid: -1 is not in 0..4294967294 (config.md, \"POSIX-platform User\")");
    }
}

BOOST_AUTO_TEST_CASE(capabilities_that_cannot_be_are_warnings) {
    const auto process = *parse(with("/process/capabilities", R"({"bounding": ["CAP_FLY", "CAP_KILL"],
        "effective": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL"], "ambient": ["CAP_KILL"]})"))
                              .process;
    BOOST_TEST(process.capabilities->bounding == 1U << 5);
    BOOST_TEST(process.capabilities->effective == 1U << 5);
    BOOST_TEST(process.capabilities->ambient == 0U);
    BOOST_REQUIRE(process.warnings.size() == 3U);
    BOOST_TEST(process.warnings[0] ==
               "process.capabilities.bounding[0]: unknown capability \"CAP_FLY\" is not granted");
    BOOST_TEST(process.warnings[1].starts_with("process.capabilities.effective: "));
    BOOST_TEST(process.warnings[2].starts_with("process.capabilities.ambient: "));
}

BOOST_AUTO_TEST_CASE(features_are_what_is_accepted) {
    const boost::json::value features = boost::json::parse(engine::runtime::features_document());
    const auto document_with = [](const char* pointer, const std::string& text) {
        return problem(with(pointer, text));
    };
    boost::json::value latest(runtime_test::minimal());
    // And what runc 1.1 and later ones write.
    for (const boost::json::value& version : {features.at("ociVersionMin"), features.at("ociVersionMax"),
                                              boost::json::value("1.0.2-dev"), boost::json::value("1.3.0+dev")}) {
        latest.as_object()["ociVersion"] = version;
        BOOST_TEST(problem(boost::json::serialize(latest)) == "accepted");
    }
    for (const auto& hook : features.at("hooks").as_array())
        BOOST_TEST(document_with("/hooks", R"({")" + std::string(hook.as_string()) + R"(": [{"path": "rel"}]})") !=
                   "accepted"); // it is looked at
    const boost::json::value& parts = features.at("linux");
    for (const auto& type : parts.at("namespaces").as_array())
        BOOST_TEST(document_with("/linux/namespaces",
                                 R"([{"type": "mount"}, {"path": "/x", "type": )" + boost::json::serialize(type) + "}]")
                           .find("unknown") == std::string::npos,
                   type);
    const boost::json::value& seccomp = parts.at("seccomp");
    for (const auto& action : seccomp.at("actions").as_array())
        BOOST_TEST(document_with("/linux/seccomp", R"({"listenerPath": "/x", "defaultAction": )" +
                                                       boost::json::serialize(action) + "}") == "accepted",
                   action);
    for (const auto& architecture : seccomp.at("archs").as_array())
        BOOST_TEST(document_with("/linux/seccomp", R"({"defaultAction": "SCMP_ACT_LOG", "architectures": [)" +
                                                       boost::json::serialize(architecture) + "]}") == "accepted",
                   architecture);
    for (const auto& flag : seccomp.at("supportedFlags").as_array())
        BOOST_TEST(document_with("/linux/seccomp", R"({"listenerPath": "/x", "defaultAction": "SCMP_ACT_NOTIFY",
                                 "flags": [)" + boost::json::serialize(flag) +
                                                       "]}") == "accepted",
                   flag);
    for (const auto& operation : seccomp.at("operators").as_array())
        BOOST_TEST(document_with("/linux/seccomp", R"({"defaultAction": "SCMP_ACT_LOG", "syscalls": [{"names": ["a"],
                                 "action": "SCMP_ACT_TRAP", "args": [{"index": 0, "value": 1, "op": )" +
                                                       boost::json::serialize(operation) + "}]}]}") == "accepted",
                   operation);
    for (const auto& name : parts.at("capabilities").as_array())
        BOOST_TEST(parse(with("/process/capabilities", R"({"bounding": [)" + boost::json::serialize(name) + "]}"))
                       .process->warnings.empty(),
                   name);
}

BOOST_AUTO_TEST_CASE(hostname_needs_its_namespace) {
    boost::json::value document(runtime_test::minimal());
    document.as_object()["hostname"] = "box";
    BOOST_TEST(parse(boost::json::serialize(document)).hostname == "box");
    runtime_test::set(document, "/linux/namespaces", R"([{"type": "mount"}])");
    BOOST_TEST(problem(boost::json::serialize(document)).find("needs a uts namespace") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(unknown_properties_are_ignored_as_the_specification_demands) {
    BOOST_TEST(problem(with("/process/later", "{\"a\": 1}")) == "accepted");
    BOOST_TEST(problem(with("/windows", "{}")) == "accepted");
}

BOOST_AUTO_TEST_CASE(text_that_is_no_json) {
    BOOST_TEST(problem("{").starts_with("config.json: line 1"));
    BOOST_TEST(problem(R"({"ociVersion": "1.0.0", "ociVersion": "1.0.0"})").find("twice") != std::string::npos);
    BOOST_TEST(problem("[]") == "config.json: expected an object");
}

BOOST_AUTO_TEST_CASE(mount_options_are_translated) {
    const Mount plain = mount(R"(["ro", "nosuid", "noexec", "nodev", "noatime", "size=64k", "sync"])");
    BOOST_TEST(plain.options.set ==
               (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME));
    BOOST_TEST(plain.options.clear == std::uint64_t{MOUNT_ATTR__ATIME});
    BOOST_TEST(plain.options.data.size() == 2U);
    BOOST_TEST(plain.options.data[0].first == "size");
    BOOST_TEST(plain.options.data[0].second == "64k");

    const Mount later_wins = mount(R"(["ro", "rw", "nosuid", "suid"])");
    BOOST_TEST(later_wins.options.set == 0U);
    BOOST_TEST(later_wins.options.clear == (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID));

    const Mount bound = mount(R"(["rbind", "rro", "rshared"])", "none");
    BOOST_TEST(bound.options.bind);
    BOOST_TEST(bound.options.recursive_bind);
    BOOST_TEST(bound.options.set == 0U);
    BOOST_TEST(bound.options.recursive_set == std::uint64_t{MOUNT_ATTR_RDONLY});
    BOOST_TEST(bound.options.propagation == std::uint64_t{MS_SHARED});
    BOOST_TEST(bound.options.propagation_recursive);

    const Mount atime = mount(R"(["noatime", "relatime"])");
    BOOST_TEST(atime.options.set == 0U);
    BOOST_TEST(mount(R"(["tmpcopyup"])").options.copy_up);
    BOOST_TEST(mount("[]", "bind").options.bind);
}

BOOST_AUTO_TEST_CASE(id_mappings_as_podman_writes_them) {
    using engine::runtime::IdMapping;
    boost::json::value document(runtime_test::minimal());
    runtime_test::set(document, "/linux/namespaces", R"([{"type": "mount"}, {"type": "user"}])");
    for (const char* key : {"/linux/uidMappings", "/linux/gidMappings"})
        runtime_test::set(document, key, R"([{"containerID": 0, "hostID": 0, "size": 1},
                                             {"containerID": 1, "hostID": 2, "size": 1000}])");
    runtime_test::set(document, "/mounts", R"([{"destination": "/x", "source": "/y",
        "options": ["bind", "ridmap=uids=@1-3-10#20-4-5;gids=0-100-10"]}])");
    const Mount mapped = parse(boost::json::serialize(document)).mounts.at(0);
    BOOST_TEST(mapped.options.recursive_id_map);
    BOOST_TEST((mapped.uid_mappings == std::vector<IdMapping>{{1, 4, 10}, {20, 4, 5}}));
    BOOST_TEST((mapped.gid_mappings == std::vector<IdMapping>{{0, 100, 10}}));
}

BOOST_AUTO_TEST_CASE(destinations_are_normal) {
    const Config config = parse(with("/mounts", R"([{"destination": "//a/./b/../c//", "type": "tmpfs"},
                                                     {"destination": "../../etc", "type": "tmpfs"}])"));
    BOOST_TEST(config.mounts[0].destination == "/a/c");
    BOOST_TEST(config.mounts[1].destination == "/etc");
}

BOOST_AUTO_TEST_CASE(limits_become_cgroup_writes) {
    BOOST_TEST(writes(R"({"memory": {"limit": 1048576, "swap": 2097152, "reservation": 4096}})") ==
               "memory.max=1048576;memory.swap.max=1048576;memory.low=4096;");
    BOOST_TEST(writes(R"({"memory": {"limit": -1, "swap": -1}})") == "memory.max=max;memory.swap.max=max;");
    BOOST_TEST(writes(R"({"memory": {"limit": 0, "swap": 0}})") == "");
    BOOST_TEST(writes(R"({"cpu": {"shares": 1024}})") == "cpu.weight=39;");
    BOOST_TEST(writes(R"({"cpu": {"shares": 2}})") == "cpu.weight=1;");
    BOOST_TEST(writes(R"({"cpu": {"shares": 262144}})") == "cpu.weight=10000;");
    BOOST_TEST(writes(R"({"cpu": {"quota": 50000}})") == "cpu.max=50000;");
    BOOST_TEST(writes(R"({"cpu": {"quota": -1, "period": 20000}})") == "cpu.max=max 20000;");
    BOOST_TEST(writes(R"({"cpu": {"period": 20000}})") == "cpu.max= 20000;"); // the quota stays
    BOOST_TEST(writes(R"({"cpu": {"quota": 9000, "burst": 5000}})") ==
               "cpu.max.burst=0;cpu.max=9000;cpu.max.burst=5000;");
    BOOST_TEST(writes(R"({"cpu": {"cpus": "0-1", "mems": "0"}})") == "cpuset.cpus=0-1;cpuset.mems=0;");
    BOOST_TEST(writes(R"({"pids": {"limit": 5}})") == "pids.max=5;");
    BOOST_TEST(writes(R"({"pids": {"limit": 0}})") == "");
    BOOST_TEST(writes(R"({"pids": {"limit": -1}})") == "pids.max=max;");
    BOOST_TEST(writes(R"({"blockIO": {"weight": 500, "throttleReadBpsDevice":
                       [{"major": 8, "minor": 0, "rate": 1000}]}})") == "io.weight=default 4950;io.max=8:0 rbps=1000;");
    BOOST_TEST(writes(R"({"hugepageLimits": [{"pageSize": "2MB", "limit": 9}]})") ==
               "hugetlb.2MB.max=9;hugetlb.2MB.rsvd.max=9;");
    BOOST_TEST(writes(R"({"blockIO": {"weightDevice": [{"major": 8, "minor": 16, "weight": 1000}]}})") ==
               "io.weight=8:16 10000;");
    BOOST_TEST(writes(R"({"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}}})") ==
               "rdma.max=mlx5_1 hca_handle=3 hca_object=10000;");
    BOOST_TEST(writes(R"({"pids": {"limit": 5}, "unified": {"pids.max": "7"}})") == "pids.max=5;pids.max=7;");
    const Config config = parse(with("/linux/resources", R"({"pids": {"limit": 5}})"));
    BOOST_TEST(config.linux_part.resources.writes[0].json_path == "linux.resources.pids.limit");
}

BOOST_AUTO_TEST_CASE(sysctls_of_own_namespaces) {
    const Config config =
        parse(with("/linux/sysctl", R"({"net.ipv4.ip_forward": "1", "net/ipv4/conf/eth0.1/forwarding": "1",
                                        "kernel.shmmax": "5", "fs.mqueue.msg_max": "3"})"));
    BOOST_TEST(config.linux_part.sysctl.at(0).first == "net/ipv4/ip_forward");
    BOOST_TEST(config.linux_part.sysctl.at(1).first == "net/ipv4/conf/eth0.1/forwarding");
    BOOST_TEST(config.linux_part.sysctl.at(2).first == "kernel/shmmax");
}

BOOST_AUTO_TEST_CASE(devices_and_rules) {
    const Config config = parse(with("/linux/devices", R"([{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229,
        "fileMode": 8630, "uid": 1, "gid": 2}, {"path": "/dev/../tmp/p", "type": "p"}])"));
    BOOST_TEST(config.linux_part.devices[0].mode == (S_IFCHR | 0666));
    BOOST_TEST(config.linux_part.devices[0].minor == 229U);
    BOOST_TEST(config.linux_part.devices[1].path == "/tmp/p");
    const Config rules = parse(with("/linux/resources", R"({"devices": [{"allow": false},
        {"allow": true, "type": "c", "major": 10, "minor": -1, "access": "rw"}]})"));
    const auto& list = rules.linux_part.resources.devices;
    BOOST_TEST(list[0].type == 'a');
    BOOST_TEST(list[0].access == unsigned{BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE | BPF_DEVCG_ACC_MKNOD});
    BOOST_TEST(*list[1].major == 10U);
    BOOST_TEST(!list[1].minor);
    BOOST_TEST(list[1].access == unsigned{BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE});
}

BOOST_AUTO_TEST_CASE(process_documents) {
    const engine::runtime::Process process = engine::runtime::parse_process(
        R"({"args": ["id"], "cwd": "/", "user": {"uid": 5, "gid": 6, "additionalGids": [7], "umask": 63},
            "terminal": true, "consoleSize": {"height": 24, "width": 80}, "oomScoreAdj": -5})",
        "process.json");
    BOOST_TEST(process.user.uid == 5U);
    BOOST_TEST(*process.user.umask == 077U);
    BOOST_TEST(process.console_columns == 80);
    BOOST_TEST(*process.oom_score_adj == -5);
}

BOOST_AUTO_TEST_SUITE_END()
