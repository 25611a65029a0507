#include "core/config_json.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"

namespace {

/// Every field differs from its default, so that one that is forgotten shows.
engine::ContainerConfig full_config() {
    engine::ContainerConfig c;
    c.image = "busybox:1";
    c.image_id = "sha256:00";
    c.entrypoint = {"/bin/sh", "-c"};
    c.command = {"echo \"hi\"\n"};
    c.env = {"A=b"};
    c.working_directory = "/w";
    c.user = "www";
    c.additional_groups = {"audio"};
    c.hostname = "h";
    c.domainname = "d";
    c.labels = {{"a", "b"}};
    c.tty = c.open_stdin = c.stdin_once = true;
    engine::ContainerMount mount;
    mount.type = engine::ContainerMount::Type::volume;
    mount.source = "/v";
    mount.volume_name = "vol";
    mount.target = "/data";
    mount.read_only = true;
    mount.propagation = "rslave";
    mount.options = {"nosuid"};
    c.mounts = {mount};
    c.image_volumes = {"/vol"};
    c.network_mode = "none";
    c.ports = {{"127.0.0.1", 8080, 80, "udp"}};
    c.address = "172.30.0.9";
    c.mac = "02:42:00:00:00:01";
    c.dns = {"1.1.1.1"};
    c.dns_search = {"example"};
    c.dns_options = {"ndots:2"};
    c.extra_hosts = {"a:1.2.3.4"};
    c.restart = {engine::RestartPolicy::Kind::on_failure, 4};
    c.auto_remove = true;
    c.cap_add = {"NET_ADMIN"};
    c.cap_drop = {"ALL"};
    c.privileged = c.no_new_privileges = c.read_only_rootfs = c.init = true;
    c.seccomp = "unconfined";
    c.masked_paths = {"/proc/x"};
    c.readonly_paths = std::vector<std::string>{};
    c.pid_mode = c.ipc_mode = c.uts_mode = c.cgroup_mode = "host";
    c.devices = {{"/dev/null", "/dev/n", "r"}};
    c.ulimits = {{"nofile", 10, 20}};
    c.sysctls = {{"net.x", "1"}};
    c.shm_size = 1;
    c.oom_score_adj = -5;
    c.resources = {1, 2, 3, 4, 5, 6, 7, 8, "0-1", "0", 9};
    c.stop_signal = "SIGINT";
    c.stop_timeout = 3;
    c.health = {engine::HealthConfig::Kind::shell, {"true"}, std::chrono::milliseconds(1), std::chrono::milliseconds(2),
                std::chrono::milliseconds(3),      4};
    c.log = {engine::LogConfig::Driver::none, 5, 6};
    c.system_service = "network";
    c.host_rootfs = c.only_capabilities = true;
    c.api_data = "{\"x\":1}";
    return c;
}

} // namespace

BOOST_AUTO_TEST_SUITE(config_json)

BOOST_AUTO_TEST_CASE(a_container_comes_back_as_it_was) {
    engine::SavedContainer saved{"id1",
                                 "web",
                                 engine::TimePoint(std::chrono::nanoseconds(1'700'000'000'123'456'789)),
                                 full_config(),
                                 {"/l/2", "/l/1"}};
    const auto back = engine::parse_saved_container(engine::format_saved_container(saved), "test");
    BOOST_TEST(back.id == "id1");
    BOOST_TEST(back.name == "web");
    BOOST_TEST((back.created == saved.created));
    BOOST_TEST(back.lower_directories == saved.lower_directories, boost::test_tools::per_element());
    BOOST_TEST((back.config == saved.config));
    BOOST_TEST(!(engine::ContainerConfig{} == saved.config));
}

BOOST_AUTO_TEST_CASE(defaults_come_back_too) {
    const engine::SavedContainer saved{"id1", "web", {}, {}, {}};
    BOOST_TEST((engine::parse_saved_container(engine::format_saved_container(saved), "test").config ==
                engine::ContainerConfig{}));
}

BOOST_AUTO_TEST_CASE(members_of_another_release_are_ignored_and_missing_ones_have_defaults) {
    const auto saved = engine::parse_saved_container(
        R"({"version":7,"id":"i","name":"n","later":[1],"config":{"image":"x","later":{"a":1}}})", "test");
    BOOST_TEST(saved.config.image == "x");
    BOOST_TEST(saved.config.network_mode == "bridge");
    BOOST_TEST(saved.config.shm_size == 64 * 1024 * 1024);
}

BOOST_AUTO_TEST_CASE(what_is_damaged_is_an_error) {
    for (const char* bad : {"", "{", "[]", R"({"id":"x"})", R"({"id":"x","name":"n"})",
                            R"({"id":1,"name":"n","config":{}})", R"({"id":"x","name":"n","config":{"env":1}})"})
        BOOST_CHECK_THROW((void)engine::parse_saved_container(bad, "test"), base::Error);
}

BOOST_AUTO_TEST_CASE(states_come_back) {
    engine::SavedState saved;
    saved.state.status = engine::Status::exited;
    saved.state.exit_code = 3;
    saved.state.oom_killed = true;
    saved.state.error = "why";
    saved.state.restart_count = 2;
    saved.state.started = engine::TimePoint(std::chrono::seconds(100));
    saved.stopped_by_user = true;
    const auto back = engine::parse_saved_state(engine::format_saved_state(saved), "test");
    BOOST_TEST((back.state.status == engine::Status::exited));
    BOOST_TEST(back.state.exit_code == 3);
    BOOST_TEST(back.state.oom_killed);
    BOOST_TEST(back.state.error == "why");
    BOOST_TEST(back.state.restart_count == 2U);
    BOOST_TEST((back.state.started == saved.state.started));
    BOOST_TEST(!back.state.finished.has_value());
    BOOST_TEST(back.stopped_by_user);
}

BOOST_AUTO_TEST_SUITE_END()
