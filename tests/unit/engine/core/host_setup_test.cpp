#include "engined/host_setup.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "base/config_reader.hpp"
#include "base/files.hpp"

namespace {

struct Drive {
    Drive() { base::make_directories(drive / "tls"); }
    void put(const std::string& name, const std::string& text) { base::write_durable(drive / name, text); }
    bool copied(const std::string& name) const { return ::access((target + "/" + name).c_str(), F_OK) == 0; }
    base::TempDir drive, etc;
    std::string target = etc / "atoll";
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(host_setup, Drive)

BOOST_AUTO_TEST_CASE(the_first_boot_takes_the_drives_files) {
    put("host.yaml", "hostname: one\n");
    put("tls/key.pem", "secret");
    BOOST_TEST(engine::copy_config_drive(drive.path(), target));
    BOOST_TEST(base::read_file(target + "/host.yaml") == "hostname: one\n");
    BOOST_TEST(base::read_file(target + "/tls/key.pem") == "secret");
    struct stat status {};
    BOOST_REQUIRE(::stat((target + "/tls/key.pem").c_str(), &status) == 0);
    BOOST_TEST((status.st_mode & 0777) == 0600U);
}

BOOST_AUTO_TEST_CASE(a_host_that_is_set_up_keeps_its_configuration) {
    base::make_directories(target);
    base::write_durable(target + "/host.yaml", "hostname: kept\n");
    put("host.yaml", "hostname: other\n");
    BOOST_TEST(!engine::copy_config_drive(drive.path(), target));
    BOOST_TEST(base::read_file(target + "/host.yaml") == "hostname: kept\n");
}

BOOST_AUTO_TEST_CASE(without_a_drive_nothing_happens) {
    BOOST_TEST(!engine::copy_config_drive(drive / "none", target));
    BOOST_TEST(!copied("host.yaml"));
}

BOOST_AUTO_TEST_CASE(of_a_wrong_drive_nothing_is_taken) {
    put("host.yaml", "hostnam: typo\n");
    put("tls/key.pem", "secret");
    BOOST_CHECK_THROW((void)engine::copy_config_drive(drive.path(), target), base::ConfigError);
    BOOST_TEST(!copied("host.yaml"));
    BOOST_TEST(!copied("tls/key.pem"));
}

BOOST_AUTO_TEST_CASE(links_on_the_drive_are_not_followed) {
    put("host.yaml", "hostname: one\n");
    BOOST_REQUIRE(::symlink("/etc/passwd", (drive / "stolen").c_str()) == 0);
    BOOST_REQUIRE(::symlink("/etc", (drive / "folder").c_str()) == 0);
    BOOST_TEST(engine::copy_config_drive(drive.path(), target));
    BOOST_TEST(!copied("stolen"));
    BOOST_TEST(!copied("folder"));
}

BOOST_AUTO_TEST_CASE(a_drive_that_was_cut_off_is_taken_again) {
    put("host.yaml", "hostname: one\n");
    put("tls/key.pem", "whole");
    base::make_directories(target + "/tls"); // host.yaml comes last: without it the copy did not finish
    base::write_durable(target + "/tls/key.pem", "ha");
    BOOST_TEST(engine::copy_config_drive(drive.path(), target));
    BOOST_TEST(base::read_file(target + "/tls/key.pem") == "whole");
}

BOOST_AUTO_TEST_CASE(the_network_service_is_told_what_host_yaml_says) {
    BOOST_TEST(engine::service_environment({}).at("network").empty());
    base::HostConfig config;
    config.network.interface = "eth1";
    config.network.dhcp = false;
    config.network.address = "10.0.0.5/24";
    config.network.gateway = "10.0.0.1";
    config.network.dns = {"1.1.1.1", "9.9.9.9"};
    const auto environment = engine::service_environment(config).at("network");
    BOOST_TEST(environment.at("ATOLL_NETWORK_INTERFACE") == "eth1");
    BOOST_TEST(environment.at("ATOLL_NETWORK_ADDRESS") == "10.0.0.5/24");
    BOOST_TEST(environment.at("ATOLL_NETWORK_DNS") == "1.1.1.1 9.9.9.9");
}

BOOST_AUTO_TEST_SUITE_END()
