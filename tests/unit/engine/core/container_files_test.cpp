#include "core/container_files.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(container_files)

BOOST_AUTO_TEST_CASE(loopback_name_servers_stay_with_the_host) {
    engine::ContainerConfig config;
    const std::string host =
        "# dhcp\nnameserver 127.0.0.53\nnameserver 10.0.0.1\nnameserver ::1\nsearch lan\noptions edns0\n";
    BOOST_TEST(engine::make_resolv_conf(host, config) == "nameserver 10.0.0.1\nsearch lan\noptions edns0\n");
    config.network_mode = "host";
    BOOST_TEST(engine::make_resolv_conf("nameserver 127.0.0.53\n", config) == "nameserver 127.0.0.53\n");
}

BOOST_AUTO_TEST_CASE(the_configuration_replaces_what_it_names) {
    engine::ContainerConfig config;
    config.dns = {"1.1.1.1", "9.9.9.9"};
    config.dns_search = {"."};
    config.dns_options = {"ndots:1", "rotate"};
    BOOST_TEST(engine::make_resolv_conf("nameserver 10.0.0.1\nsearch lan", config) ==
               "nameserver 1.1.1.1\nnameserver 9.9.9.9\noptions ndots:1 rotate\n");
}

BOOST_AUTO_TEST_CASE(hosts_name_the_container_and_what_was_added) {
    engine::ContainerConfig config;
    config.extra_hosts = {"db:10.0.0.5", "six:fd00::1"};
    config.domainname = "lan";
    const std::string text = engine::make_hosts(config, "web", "172.30.0.2");
    BOOST_TEST(text.find("127.0.0.1\tlocalhost\n") != std::string::npos);
    BOOST_TEST(text.find("10.0.0.5\tdb\n") != std::string::npos);
    BOOST_TEST(text.find("fd00::1\tsix\n") != std::string::npos);
    BOOST_TEST(text.find("172.30.0.2\tweb.lan web\n") != std::string::npos);
    BOOST_TEST(engine::make_hosts({}, "web", "").find("web") == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
