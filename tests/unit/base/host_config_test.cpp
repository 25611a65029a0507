#include "base/host_config.hpp"

#include <boost/test/unit_test.hpp>

#include "base/config_reader.hpp"

BOOST_AUTO_TEST_SUITE(host_config)

BOOST_AUTO_TEST_CASE(reads_all_sections) {
    const auto config = base::HostConfig::parse(R"(
hostname: node-1
engine:
  listen: 0.0.0.0:2376
  tls: {ca: ca.pem, certificate: /etc/tls/cert.pem, key: key.pem}
network: {dhcp: false, address: 10.0.0.2/24, gateway: 10.0.0.1, dns: [10.0.0.1]}
update: {url: "http://10.0.2.2:8080/repo", settle: 5s, trial: 2m}
sysctl: {net.ipv4.ip_forward: 1}
modules: [vxlan]
)",
                                                "/etc/atoll/host.yaml");
    BOOST_TEST(config.hostname == "node-1");
    BOOST_TEST(config.engine->tls.ca == "/etc/atoll/ca.pem");
    BOOST_TEST(config.engine->tls.certificate == "/etc/tls/cert.pem");
    BOOST_TEST(!config.fleet.has_value());
    BOOST_TEST(config.network.address == "10.0.0.2/24");
    BOOST_TEST(config.update.trial_seconds == 120U);
    BOOST_TEST(config.sysctl.at("net.ipv4.ip_forward") == "1");
}

BOOST_AUTO_TEST_CASE(where_updates_come_from) {
    const auto update = [](const std::string& text) {
        return base::HostConfig::parse("update: {" + text + "}\n", "/etc/atoll/host.yaml").update;
    };
    BOOST_TEST(update("ref: atoll/testing").ref == "atoll/testing");
    BOOST_TEST(update("stream: atoll/testing").ref == "atoll/testing");
    BOOST_TEST(update("url: \"https://a\", ca: ca.pem").ca == "/etc/atoll/ca.pem");
    BOOST_TEST(update("proxy: \"http://proxy:3128\"").proxy == "http://proxy:3128");
    for (const char* bad : {"stream: a, ref: a", "url: \"http://a\", ca: ca.pem", "proxy: \"socks5://x\""})
        BOOST_CHECK_THROW(update(bad), base::ConfigError);
}

BOOST_AUTO_TEST_CASE(a_listener_without_tls_is_refused) {
    BOOST_CHECK_EXCEPTION(base::HostConfig::parse("engine: {listen: 0.0.0.0:2375}\n", "host.yaml"), base::ConfigError,
                          [](const base::ConfigError& error) {
                              return std::string(error.what()) == "host.yaml:1:9: engine: key tls is missing";
                          });
}

BOOST_AUTO_TEST_CASE(bad_host_names_are_refused) {
    for (const std::string& name : {std::string("''"), std::string("-a"), std::string("a..b"), std::string("a_b"),
                                    std::string("'a b'"), std::string(65, 'x')})
        BOOST_CHECK_THROW(base::HostConfig::parse("hostname: " + name + "\n", "host.yaml"), base::ConfigError);
}

BOOST_AUTO_TEST_CASE(trials_have_an_end) {
    for (const char* wrong : {"settle: 0s", "settle: 2h", "trial: 500ms", "trial: 25h"})
        BOOST_CHECK_THROW(base::HostConfig::parse(fmt::format("update: {{{}}}\n", wrong), "host.yaml"),
                          base::ConfigError);
    BOOST_TEST(base::HostConfig::parse("update: {trial: 1d}\n", "host.yaml").update.trial_seconds == 86400U);
}

BOOST_AUTO_TEST_CASE(no_file_means_defaults) {
    BOOST_TEST(base::HostConfig::load("/nonexistent/host.yaml").hostname == "atoll");
}

BOOST_AUTO_TEST_SUITE_END()
