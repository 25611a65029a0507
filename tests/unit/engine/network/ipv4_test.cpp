#include "network/ipv4.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"

using namespace engine::network;

BOOST_AUTO_TEST_SUITE(ipv4)

BOOST_AUTO_TEST_CASE(addresses) {
    BOOST_TEST(parse_address("172.30.0.2").value() == 0xac1e0002U);
    BOOST_TEST(to_string(0xac1e0002U) == "172.30.0.2");
    for (const char* wrong : {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", "::1", "0x1.2.3.4", "a.b.c.d"})
        BOOST_TEST(!parse_address(wrong), wrong);
}

BOOST_AUTO_TEST_CASE(subnets) {
    const Subnet subnet = parse_subnet("172.30.0.0/16");
    BOOST_TEST(subnet.contains(parse_address("172.30.255.255").value()));
    BOOST_TEST(!subnet.contains(parse_address("172.31.0.0").value()));
    BOOST_TEST(to_string(subnet.last()) == "172.30.255.255");
    BOOST_TEST(subnet.overlaps(parse_subnet("172.30.7.0/24")));
    BOOST_TEST(parse_subnet("172.30.7.0/24").overlaps(subnet));
    BOOST_TEST(!subnet.overlaps(parse_subnet("172.31.0.0/16")));
    for (const char* wrong : {"172.30.0.0", "172.30.0.1/16", "172.30.0.0/", "172.30.0.0/33", "172.30.0.0/30",
                              "172.30.0.0/7", "172.30.0.0/16x", "/16", "172.30.0.0/-1"})
        BOOST_CHECK_THROW(parse_subnet(wrong), base::Error);
}

BOOST_AUTO_TEST_CASE(mac_addresses) {
    BOOST_TEST(mac_of(0xac1e0002U) == "02:42:ac:1e:00:02");
    BOOST_TEST((parse_mac("02:42:ac:1e:00:02").value() == std::array<std::uint8_t, 6>{2, 0x42, 0xac, 0x1e, 0, 2}));
    for (const char* wrong :
         {"", "02:42:ac:1e:00", "02:42:ac:1e:00:0g", "02-42-ac-1e-00-02", "01:00:5e:00:00:01", "02:42:ac:1e:00:02:03"})
        BOOST_TEST(!parse_mac(wrong), wrong);
}

BOOST_AUTO_TEST_SUITE_END()
