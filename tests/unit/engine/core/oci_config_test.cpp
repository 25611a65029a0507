#include "core/oci_config.hpp"

#include <boost/test/unit_test.hpp>

#include "base/json.hpp"

namespace {

namespace json = base::json;

struct Made {
    explicit Made(const engine::ContainerConfig& config) {
        engine::OciInput input;
        input.id = "abc";
        input.config = &config;
        input.rootfs = "/run/x/rootfs";
        input.directory = config.host_rootfs ? "" : "/var/x";
        input.hostname = "host1";
        input.cgroups_path = "/atoll.user/abc";
        document = base::parse_json(engine::make_oci_config(input), "config.json");
    }
    const json::value& at(const std::string& pointer) const { return document.at_pointer(pointer); }
    bool has(const std::string& pointer) const {
        boost::system::error_code error;
        return document.find_pointer(pointer, error) != nullptr;
    }
    std::set<std::string> namespaces() const {
        std::set<std::string> types;
        for (const json::value& entry : at("/linux/namespaces").as_array())
            types.emplace(entry.at("type").as_string());
        return types;
    }
    std::vector<std::string> targets() const {
        std::vector<std::string> all;
        for (const json::value& entry : at("/mounts").as_array())
            all.emplace_back(entry.at("destination").as_string());
        return all;
    }
    std::string options_of(const std::string& target) const {
        std::string text;
        for (const json::value& entry : at("/mounts").as_array())
            if (entry.at("destination").as_string() == target)
                for (const json::value& option : entry.at("options").as_array())
                    text += std::string(option.as_string()) + " ";
        return text;
    }
    /// The rule for a call: its action; "" when only the default applies.
    std::string action_of(const std::string& call) const {
        for (const json::value& rule : at("/linux/seccomp/syscalls").as_array())
            for (const json::value& name : rule.at("names").as_array())
                if (name.as_string() == call)
                    return std::string(rule.at("action").as_string());
        return {};
    }
    json::value document;
};

engine::ContainerConfig plain() {
    engine::ContainerConfig config;
    config.entrypoint = {"/bin/sh"};
    config.command = {"-c", "true"};
    return config;
}

std::size_t position(const std::vector<std::string>& list, const std::string& value) {
    return static_cast<std::size_t>(std::find(list.begin(), list.end(), value) - list.begin());
}

} // namespace

BOOST_AUTO_TEST_SUITE(oci_config)

BOOST_AUTO_TEST_CASE(a_plain_container_is_shut_in) {
    const Made made(plain());
    BOOST_TEST((made.namespaces() == std::set<std::string>{"mount", "network", "pid", "ipc", "uts", "cgroup"}));
    BOOST_TEST(made.at("/process/capabilities/bounding").as_array().size() == 14U);
    BOOST_TEST(!made.has("/process/capabilities/ambient"));
    BOOST_TEST(made.at("/linux/seccomp/defaultAction").as_string() == "SCMP_ACT_ERRNO");
    BOOST_TEST(made.at("/linux/resources/devices/0/allow").as_bool() == false);
    BOOST_TEST(made.at("/linux/maskedPaths").as_array().size() > 5U);
    BOOST_TEST(made.at("/linux/cgroupsPath").as_string() == "/atoll.user/abc");
    BOOST_TEST(made.at("/hostname").as_string() == "host1");
    BOOST_TEST(made.at("/process/args").as_array().size() == 3U);
    BOOST_TEST(made.options_of("/sys").find("ro ") != std::string::npos);
    BOOST_TEST(made.options_of("/sys/fs/cgroup").find("ro ") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(dangerous_calls_need_their_capability) {
    const Made made(plain());
    for (const char* call :
         {"mount", "bpf", "reboot", "init_module", "setns", "unshare", "keyctl", "kexec_load", "ptrace_x"})
        BOOST_TEST(made.action_of(call).empty(), call);
    BOOST_TEST(made.action_of("clone3") == "SCMP_ACT_ERRNO");
    BOOST_TEST(made.action_of("openat") == "SCMP_ACT_ALLOW");
    BOOST_TEST(made.action_of("chroot") == "SCMP_ACT_ALLOW"); // CAP_SYS_CHROOT is a default one

    engine::ContainerConfig admin = plain();
    admin.cap_add = {"sys_admin"};
    const Made allowed(admin);
    for (const char* call : {"mount", "unshare", "clone3"})
        BOOST_TEST(allowed.action_of(call) == "SCMP_ACT_ALLOW", call);
    BOOST_TEST(allowed.action_of("reboot").empty());

    engine::ContainerConfig less = plain();
    less.cap_drop = {"ALL"};
    BOOST_TEST(Made(less).action_of("chroot").empty());
}

BOOST_AUTO_TEST_CASE(capabilities_add_and_drop) {
    engine::ContainerConfig config = plain();
    config.cap_add = {"NET_ADMIN"};
    config.cap_drop = {"CAP_MKNOD"};
    auto caps = engine::effective_capabilities(config);
    BOOST_TEST(caps.contains("CAP_NET_ADMIN"));
    BOOST_TEST(!caps.contains("CAP_MKNOD"));
    config.cap_add = {"ALL"};
    caps = engine::effective_capabilities(config);
    BOOST_TEST(caps.contains("CAP_SYS_ADMIN"));
    BOOST_TEST(!caps.contains("CAP_MKNOD"));
    config.cap_add = {"CHOWN"};
    config.cap_drop = {"all"};
    BOOST_TEST((engine::effective_capabilities(config) == std::set<std::string>{"CAP_CHOWN"}));
    config = plain();
    config.only_capabilities = true;
    BOOST_TEST(engine::effective_capabilities(config).empty());
}

BOOST_AUTO_TEST_CASE(privileged_opens_everything) {
    engine::ContainerConfig config = plain();
    config.privileged = true;
    const Made made(config);
    BOOST_TEST(!made.has("/linux/seccomp"));
    BOOST_TEST(!made.has("/linux/maskedPaths"));
    BOOST_TEST(made.at("/linux/resources/devices/0/allow").as_bool());
    BOOST_TEST(made.options_of("/sys").find("rw ") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(host_namespaces_are_left_out) {
    engine::ContainerConfig config = plain();
    config.network_mode = config.pid_mode = config.ipc_mode = config.uts_mode = config.cgroup_mode = "host";
    const Made made(config);
    BOOST_TEST((made.namespaces() == std::set<std::string>{"mount"}));
    BOOST_TEST(!made.has("/hostname"));
    BOOST_TEST(made.at("/linux/sysctl").as_object().empty()); // they would be the host's
}

BOOST_AUTO_TEST_CASE(mounts_come_from_the_outside_in) {
    engine::ContainerConfig config = plain();
    engine::ContainerMount inner, outer, shm;
    inner.source = "/a";
    inner.target = "/data/inner";
    inner.read_only = true;
    outer.source = "/b";
    outer.target = "/data";
    shm.source = "/c";
    shm.target = "/dev/shm";
    config.mounts = {inner, outer, shm};
    const Made made(config);
    const auto targets = made.targets();
    BOOST_TEST(position(targets, "/data") < position(targets, "/data/inner"));
    BOOST_TEST(position(targets, "/data/inner") < targets.size());
    BOOST_TEST(std::count(targets.begin(), targets.end(), "/dev/shm") == 1);
    BOOST_TEST(made.options_of("/data/inner") == "rbind rprivate ro ");
    BOOST_TEST(made.options_of("/dev/shm") == "rbind rprivate ");
    BOOST_TEST(std::count(targets.begin(), targets.end(), "/etc/hosts") == 1);
}

BOOST_AUTO_TEST_CASE(a_host_root_is_read_only_with_its_own_run_tmp_var) {
    engine::ContainerConfig config = plain();
    config.host_rootfs = true;
    config.system_service = "network";
    const Made made(config);
    BOOST_TEST(made.at("/root/readonly").as_bool());
    const auto targets = made.targets();
    for (const char* target : {"/run", "/tmp", "/var"})
        BOOST_TEST(std::count(targets.begin(), targets.end(), target) == 1, target);
    BOOST_TEST(std::count(targets.begin(), targets.end(), "/etc/hosts") == 0);
}

BOOST_AUTO_TEST_CASE(the_environment_has_defaults_that_can_be_replaced) {
    engine::ContainerConfig config = plain();
    config.env = {"PATH=/mine", "X=1", "invalid"};
    config.tty = true;
    const auto env = engine::container_environment(config, "h1", {0, 0, {}, "/root"});
    BOOST_TEST((env == std::vector<std::string>{"HOSTNAME=h1", "TERM=xterm", "PATH=/mine", "X=1", "HOME=/root"}));
}

BOOST_AUTO_TEST_CASE(resources_are_translated) {
    engine::ContainerConfig config = plain();
    config.resources.memory = 64 << 20;
    config.resources.memory_min = 1 << 20;
    config.resources.nano_cpus = 1'500'000'000;
    config.resources.pids_limit = 7;
    const Made made(config);
    BOOST_TEST(made.at("/linux/resources/memory/limit").as_int64() == 64 << 20);
    BOOST_TEST(made.at("/linux/resources/cpu/quota").as_int64() == 150'000);
    BOOST_TEST(made.at("/linux/resources/cpu/period").as_int64() == 100'000);
    BOOST_TEST(made.at("/linux/resources/pids/limit").as_int64() == 7);
    BOOST_TEST(made.at("/linux/resources/unified/memory.min").as_string() == "1048576");
    BOOST_TEST(!Made(plain()).has("/linux/resources/memory"));
}

BOOST_AUTO_TEST_CASE(a_device_that_is_not_there_is_an_error) {
    engine::ContainerConfig config = plain();
    config.devices = {{"/dev/null", "/dev/nothing", "r"}};
    const Made made(config);
    BOOST_TEST(made.at("/linux/devices/0/path").as_string() == "/dev/nothing");
    BOOST_TEST(made.at("/linux/devices/0/major").as_int64() == 1);
    config.devices = {{"/dev/none-such", "", "r"}};
    BOOST_CHECK_THROW(Made{config}, engine::EngineError);
    config.devices = {{"/etc/passwd", "", "r"}};
    BOOST_CHECK_THROW(Made{config}, engine::EngineError);
}

BOOST_AUTO_TEST_CASE(exec_has_the_containers_bounds) {
    engine::ContainerConfig config = plain();
    config.env = {"A=1"};
    config.working_directory = "/w";
    engine::ExecConfig exec;
    exec.command = {"id"};
    exec.env = {"B=2"};
    exec.tty = true;
    const json::value process = base::parse_json(engine::make_oci_process(config, exec, "h", {5, 6, {}, "/"}), "p");
    BOOST_TEST(process.at("cwd").as_string() == "/w");
    BOOST_TEST(process.at("terminal").as_bool());
    BOOST_TEST(process.at_pointer("/user/uid").as_int64() == 5);
    BOOST_TEST(process.at_pointer("/capabilities/bounding").as_array().size() == 14U);
    BOOST_TEST(process.at("env").as_array().back().as_string() == "B=2");
}

BOOST_AUTO_TEST_SUITE_END()
