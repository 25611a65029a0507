#include "network/host_ports.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"

using engine::PublishedPort;
using engine::network::HostPorts;

namespace {

std::string problem(HostPorts& ports, const PublishedPort& port) {
    try {
        ports.reserve("e2", "two", {port});
    } catch (const base::Error& error) {
        return error.what();
    }
    return "no error";
}

} // namespace

BOOST_AUTO_TEST_SUITE(host_ports)

BOOST_AUTO_TEST_CASE(one_owner_a_port) {
    HostPorts ports;
    const std::vector<PublishedPort> given = ports.reserve("e1", "one", {{"127.0.0.1", 0, 80, "tcp"}});
    BOOST_TEST(given.at(0).host_port >= 49153);
    BOOST_TEST(problem(ports, given[0]).find("port is already allocated") != std::string::npos);
    PublishedPort any = given[0];
    any.host_address = "0.0.0.0";
    BOOST_TEST(problem(ports, any).find("Bind for 0.0.0.0:") != std::string::npos);
    PublishedPort other = given[0];
    other.protocol = "udp";
    BOOST_CHECK_NO_THROW(ports.reserve("e3", "three", {other}));
    ports.release("e1");
    BOOST_CHECK_NO_THROW(ports.reserve("e2", "two", given));
}

BOOST_AUTO_TEST_CASE(all_or_none) {
    HostPorts ports;
    const std::vector<PublishedPort> first = ports.reserve("e1", "one", {{"127.0.0.1", 0, 80, "tcp"}});
    BOOST_CHECK_THROW(ports.reserve("e2", "two", {{"127.0.0.1", 0, 81, "tcp"}, first[0]}), base::Error);
    ports.release("e1");
    const std::vector<PublishedPort> again = ports.reserve("e4", "four", {{"127.0.0.1", 0, 81, "tcp"}});
    BOOST_TEST(again[0].host_port == first[0].host_port); // what the failed one had taken is free
}

BOOST_AUTO_TEST_CASE(bad_requests_are_refused) {
    HostPorts ports;
    BOOST_CHECK_THROW(ports.reserve("e", "c", {{"", 80, 80, "sctp"}}), base::Error);
    BOOST_CHECK_THROW(ports.reserve("e", "c", {{"localhost", 80, 80, "tcp"}}), base::Error);
    BOOST_CHECK_THROW(ports.reserve("e", "c", {{"", 80, 0, "tcp"}}), base::Error);
    BOOST_TEST(problem(ports, {"203.0.113.1", 80, 80, "tcp"}).find("failed to bind port 203.0.113.1:80/tcp: ") !=
               std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
