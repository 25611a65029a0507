#include "bundle.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <boost/json.hpp>
#include <seccomp.h>

#include "base/error.hpp"
#include "base/files.hpp"

namespace json = boost::json;
namespace fs = std::filesystem;

namespace ocirun_bench {

namespace {

constexpr const char* capability_names[] = {"CHOWN",      "DAC_OVERRIDE", "FOWNER",      "FSETID",           "KILL",
                                            "SETGID",     "SETUID",       "SETPCAP",     "NET_BIND_SERVICE", "NET_RAW",
                                            "SYS_CHROOT", "MKNOD",        "AUDIT_WRITE", "SETFCAP"};
constexpr std::uint64_t personalities[] = {0, 8, 131072, 131080, 0xffffffff};

std::vector<std::string> allowed_calls() {
    std::vector<std::string> names;
    for (int number = 0; names.size() < 360 && number < 500; ++number)
        if (char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, number)) {
            if (std::string(name) != "personality" && std::string(name) != "clone")
                names.emplace_back(name);
            free(name);
        }
    return names;
}

json::value filter() {
    json::array names;
    for (const std::string& name : allowed_calls())
        names.emplace_back(name);
    json::array rules{json::object{{"names", std::move(names)}, {"action", "SCMP_ACT_ALLOW"}}};
    const auto add = [&](const char* name, json::object argument) {
        rules.push_back(json::object{
            {"names", json::array{name}}, {"action", "SCMP_ACT_ALLOW"}, {"args", json::array{std::move(argument)}}});
    };
    for (const std::uint64_t value : personalities)
        add("personality", {{"index", 0}, {"value", value}, {"op", "SCMP_CMP_EQ"}});
    add("clone", {{"index", 0}, {"value", 2114060288}, {"valueTwo", 0}, {"op", "SCMP_CMP_MASKED_EQ"}});
    return json::object{{"defaultAction", "SCMP_ACT_ERRNO"},
                        {"defaultErrnoRet", 1},
                        {"architectures", json::array{"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"}},
                        {"syscalls", std::move(rules)}};
}

template <typename T, std::size_t Size>
json::array strings(const T (&texts)[Size], const char* prefix = "") {
    json::array array;
    for (const char* text : texts)
        array.emplace_back(std::string(prefix) + text);
    return array;
}

} // namespace

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
        "linux": {"namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"},
                                 {"type": "mount"}, {"type": "cgroup"}],
                  "resources": {"devices": [{"allow": false, "access": "rwm"}]}}
    })")
                              .as_object();
    const json::array names = strings(capability_names, "CAP_");
    config["process"].as_object()["args"] = json::parse(program);
    config["process"].as_object()["capabilities"] =
        json::object{{"bounding", names}, {"effective", names}, {"permitted", names}};
    json::object& linux_part = config["linux"].as_object();
    json::array masked = strings(masked_files);
    for (const char* directory : masked_directories)
        masked.emplace_back(directory);
    linux_part["maskedPaths"] = std::move(masked);
    linux_part["readonlyPaths"] = strings(readonly_paths);
    if (seccomp)
        linux_part["seccomp"] = filter();
    std::ofstream(path + "/config.json") << json::serialize(config);
}

std::vector<sock_filter> compiled_filter() {
    scmp_filter_ctx context = seccomp_init(SCMP_ACT_ERRNO(1));
    seccomp_arch_add(context, SCMP_ARCH_X86);
    seccomp_arch_add(context, SCMP_ARCH_X32);
    seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (const std::string& name : allowed_calls())
        seccomp_rule_add(context, SCMP_ACT_ALLOW, seccomp_syscall_resolve_name(name.c_str()), 0);
    for (const std::uint64_t value : personalities)
        seccomp_rule_add(context, SCMP_ACT_ALLOW, seccomp_syscall_resolve_name("personality"), 1,
                         SCMP_A0(SCMP_CMP_EQ, value, 0));
    seccomp_rule_add(context, SCMP_ACT_ALLOW, seccomp_syscall_resolve_name("clone"), 1,
                     SCMP_A0(SCMP_CMP_MASKED_EQ, 2114060288, 0));
    const base::UniqueFd memory(base::check(memfd_create("filter", MFD_CLOEXEC), "memfd_create"));
    if (seccomp_export_bpf(context, memory.get()) < 0)
        throw base::Error("libseccomp makes no filter");
    seccomp_release(context);
    const std::string bytes = [&] {
        lseek(memory.get(), 0, SEEK_SET);
        return base::read_fd(memory.get(), 1 << 20, "filter");
    }();
    std::vector<sock_filter> program(bytes.size() / sizeof(sock_filter));
    std::memcpy(program.data(), bytes.data(), program.size() * sizeof(sock_filter));
    return program;
}

} // namespace ocirun_bench
