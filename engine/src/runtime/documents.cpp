// Documents the runtime writes about itself: `features` and the config.json of `spec`.
#include <unistd.h>

#include "base/cli.hpp"
#include "base/json.hpp"
#include "engine/capabilities.hpp"
#include "runtime/config_parts.hpp"
#include "runtime/mount_options.hpp"
#include "runtime/names.hpp"
#include "runtime/runtime.hpp"
#include "runtime/specification.hpp"
#include "runtime/systemd_scope.hpp"

namespace engine::runtime {

namespace json = boost::json;

namespace {

json::array strings(const std::vector<std::string>& texts) {
    json::array array;
    for (const std::string& text : texts)
        array.emplace_back(text);
    return array;
}

constexpr std::string_view config_template = R"({
  "ociVersion": "@VERSION@",
  "process": {
    "terminal": true,
    "user": {"uid": 0, "gid": 0},
    "args": ["sh"],
    "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
    "cwd": "/",
    "capabilities": {
      "bounding": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
      "effective": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
      "permitted": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
    },
    "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
    "noNewPrivileges": true
  },
  "root": {"path": "rootfs", "readonly": true},
  "hostname": "ocirun",
  "mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
     "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
     "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
     "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
    {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
     "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}
  ],
  "linux": {
    "namespaces": [
      {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "cgroup"}
    ],
    "resources": {"devices": [{"allow": false, "access": "rwm"}]},
    "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"],
    "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
  }
}
)";

} // namespace

std::string features_document() {
    const bool systemd = has_systemd_program();
    const json::object document{
        {"ociVersionMin", "1.0.0"},
        {"ociVersionMax", specification_version},
        {"hooks", strings({"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"})},
        {"mountOptions", strings(known_mount_options())},
        {"linux",
         json::object{
             {"namespaces", strings(namespace_types())},
             {"capabilities", json::array(capability_names.begin(), capability_names.end())},
             {"cgroup",
              json::object{
                  {"v1", false}, {"v2", true}, {"systemd", systemd}, {"systemdUser", systemd}, {"rdma", true}}},
             {"seccomp",
              json::object{
                  {"enabled", true},
                  {"actions", strings(seccomp_actions())},
                  {"operators", strings(seccomp_operators())},
                  {"archs", strings(seccomp_architectures())},
                  {"knownFlags", strings(seccomp_flags())},
                  {"supportedFlags", strings(seccomp_flags())},
              }},
             {"apparmor", json::object{{"enabled", true}}},
             {"selinux", json::object{{"enabled", false}}},
             {"intelRdt", json::object{{"enabled", false}}},
             {"mountExtensions", json::object{{"idmap", json::object{{"enabled", true}}}}},
         }},
        {"annotations", json::object{{"org.atoll.ocirun.version", base::version()}}},
        {"potentiallyUnsafeConfigAnnotations", json::array{}},
    };
    return json::serialize(document);
}

std::string default_config(bool rootless) {
    std::string text(config_template);
    const std::string_view version = "@VERSION@";
    text.replace(text.find(version), version.size(), specification_version);
    if (rootless) {
        const std::string network = R"({"type": "network"}, )";
        text.replace(text.find(network), network.size(), R"({"type": "user"}, {"type": "network"}, )");
        const std::string namespaces = R"(    "namespaces": [)";
        const auto mapping = [](unsigned id) {
            return R"([{"containerID": 0, "hostID": )" + std::to_string(id) + R"(, "size": 1}])";
        };
        text.insert(text.find(namespaces), R"(    "uidMappings": )" + mapping(geteuid()) + ",\n" +
                                               R"(    "gidMappings": )" + mapping(getegid()) + ",\n");
        const std::string group = R"(, "gid=5")"; // no such group in a namespace of one
        text.erase(text.find(group), group.size());
    }
    return text;
}

} // namespace engine::runtime
