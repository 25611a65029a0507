// Containers' networks on the real kernel, in network namespaces of the test's own.
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <unistd.h>

#include <csignal>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "engine/network.hpp"
#include "namespaces.hpp"

using engine::AttachOptions;
using engine::NetworkEndpoint;
using engine::NetworkNamespace;
using engine::Networks;
using engine::NetworksConfig;
using engine::PublishedPort;
using network_test::ask;
using network_test::ask_in_vain;
using network_test::Namespace;
using network_test::Server;

namespace {

struct Fixture {
    Fixture() {
        network_test::enter_own_namespace();
        std::signal(SIGPIPE, SIG_IGN); // as every daemon does: an nft that fails early does not read its input
        config.state_directory = directory / "state";
        config.definitions_file = directory / "networks.json";
        networks = std::make_unique<Networks>(config);
    }
    ~Fixture() {
        for (const NetworkEndpoint& endpoint : networks->endpoints())
            networks->detach(endpoint.container);
        for (const engine::NetworkDefinition& network : networks->list())
            base::run({"ip", "link", "delete", network.device});
    }
    NetworkEndpoint attach(const std::string& id, const Namespace& where, const AttachOptions& options = {},
                           const std::string& network = "bridge") {
        return networks->attach(network, id, NetworkNamespace::of_process(where.pid()), options);
    }
    static AttachOptions publish(PublishedPort port) {
        AttachOptions options;
        options.ports.push_back(std::move(port));
        return options;
    }
    void restart() {
        networks.reset(); // as when engined is killed: nothing is taken down
        networks = std::make_unique<Networks>(config);
    }

    base::TempDir directory;
    NetworksConfig config;
    std::unique_ptr<Networks> networks;
};

/// Another machine, connected to the host by a wire: 10.9.9.1 here, 10.9.9.2 there.
struct Outside : Namespace {
    Outside() {
        const std::string target = std::to_string(pid());
        base::run_checked({"ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", target});
        base::run_checked({"ip", "address", "add", "10.9.9.1/24", "dev", "wire"});
        base::run_checked({"ip", "link", "set", "wire", "up"});
        output("ip address add 10.9.9.2/24 dev wire && ip link set wire up && ip link set lo up && "
               "ip route add 172.16.0.0/12 via 10.9.9.1");
    }
    ~Outside() { base::run({"ip", "link", "delete", "wire"}); }
};

bool has_device(const std::string& name) {
    return base::run({"ip", "link", "show", name}).status.success();
}

std::string rules() {
    return base::run_checked({"nft", "list", "ruleset"});
}

std::string message_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const std::exception& error) {
        return base::error_chain(error);
    }
    return "no error";
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(networks, Fixture)

BOOST_AUTO_TEST_CASE(nothing_is_touched_before_the_first_container) {
    BOOST_TEST(!has_device("atoll0"));
    BOOST_TEST(networks->list().front().name == "bridge");
    BOOST_TEST(networks->list().front().gateway == "172.30.0.1");
}

BOOST_AUTO_TEST_CASE(a_container_gets_address_route_and_loopback) {
    const Namespace container;
    const NetworkEndpoint endpoint = attach("one", container);
    BOOST_TEST(endpoint.address == "172.30.0.2");
    BOOST_TEST(endpoint.gateway == "172.30.0.1");
    BOOST_TEST(endpoint.mac == "02:42:ac:1e:00:02");
    const std::string seen = container.output("ip -4 address; ip link; ip route");
    BOOST_TEST(seen.find("inet 172.30.0.2/16 brd 172.30.255.255") != std::string::npos, seen);
    BOOST_TEST(seen.find("02:42:ac:1e:00:02") != std::string::npos, seen);
    BOOST_TEST(seen.find("default via 172.30.0.1 dev eth0") != std::string::npos, seen);
    BOOST_TEST(seen.find("inet 127.0.0.1/8") != std::string::npos, seen);

    const Server host(nullptr, "0.0.0.0", 7001, "host");
    BOOST_TEST(ask(&container, "172.30.0.1", 7001) == "host 172.30.0.2");
    const Namespace second;
    BOOST_TEST(attach("two", second).address == "172.30.0.3");
    const Server peer(&second, "0.0.0.0", 80, "second");
    BOOST_TEST(ask(&container, "172.30.0.3", 80) == "second 172.30.0.2");
    BOOST_TEST(ask(nullptr, "172.30.0.3", 80) == "second 172.30.0.1");
}

BOOST_AUTO_TEST_CASE(detach_removes_device_rules_and_address) {
    const Namespace container;
    const NetworkEndpoint endpoint = attach("one", container, publish({"", 8080, 80, "tcp"}));
    BOOST_TEST(has_device(endpoint.host_device));
    BOOST_TEST(rules().find("8080") != std::string::npos);
    networks->detach("one");
    BOOST_TEST(!has_device(endpoint.host_device));
    BOOST_TEST(rules() == "");
    BOOST_TEST(networks->endpoints().size() == 0U);
    BOOST_CHECK_NO_THROW(networks->detach("one"));
    const Namespace next;
    BOOST_TEST(attach("two", next, publish({"", 8080, 80, "tcp"})).address == "172.30.0.2");
}

// With br_netfilter translation happens in the bridge, without it in the router: both must work.
BOOST_DATA_TEST_CASE(published_ports_are_reached_from_everywhere_they_should, boost::unit_test::data::make({0, 1}),
                     filter_bridged) {
    const char* const setting = "/proc/sys/net/bridge/bridge-nf-call-iptables";
    if (access(setting, F_OK) == 0)
        base::write_all(base::open_file(setting, O_WRONLY).get(), std::to_string(filter_bridged), setting);
    const Outside outside;
    const Namespace container;
    attach("web", container, publish({"", 8080, 80, "tcp"}));
    const Server web(&container, "0.0.0.0", 80, "web");
    BOOST_TEST(ask(&outside, "10.9.9.1", 8080) == "web 10.9.9.2"); // the client's own address is seen
    BOOST_TEST(ask(nullptr, "127.0.0.1", 8080) == "web 172.30.0.1");
    BOOST_TEST(ask(nullptr, "10.9.9.1", 8080).starts_with("web "));
    const Namespace neighbour;
    attach("neighbour", neighbour);
    BOOST_TEST(ask(&neighbour, "10.9.9.1", 8080).starts_with("web "));
    BOOST_TEST(ask(&neighbour, "172.30.0.1", 8080).starts_with("web "));
    BOOST_TEST(ask(&container, "172.30.0.1", 8080).starts_with("web "));
    // Not published: from outside not even by a route to the container's address.
    BOOST_TEST(ask_in_vain(&outside, "172.30.0.2", 80) == "error: timeout");
}

BOOST_AUTO_TEST_CASE(udp_is_published_too) {
    const Outside outside;
    const Namespace container;
    const NetworkEndpoint endpoint = attach("dns", container, publish({"10.9.9.1", 0, 53, "udp"}));
    BOOST_REQUIRE(endpoint.ports.size() == 1U);
    BOOST_TEST(endpoint.ports[0].host_port >= 49153);
    const Server dns(&container, "0.0.0.0", 53, "dns", true);
    BOOST_TEST(ask(&outside, "10.9.9.1", endpoint.ports[0].host_port, true) == "dns 10.9.9.2");
}

BOOST_AUTO_TEST_CASE(a_port_of_one_address_is_not_published_on_others) {
    const Outside outside;
    const Namespace container;
    attach("web", container, publish({"127.0.0.1", 8080, 80, "tcp"}));
    const Server web(&container, "0.0.0.0", 80, "web");
    BOOST_TEST(ask(nullptr, "127.0.0.1", 8080).starts_with("web "));
    BOOST_TEST(ask_in_vain(&outside, "10.9.9.1", 8080).starts_with("error: "));
    // A neighbour that sends packets for 127.0.0.1 over the wire.
    outside.output("sysctl -qw net.ipv4.conf.all.route_localnet=1 && ip link set lo down && "
                   "ip route add 127.0.0.0/8 via 10.9.9.1 && ip route flush table local");
    BOOST_TEST(ask_in_vain(&outside, "127.0.0.1", 8080).starts_with("error: "));
}

BOOST_AUTO_TEST_CASE(a_container_does_not_reach_the_loopback_of_the_host) {
    const Namespace container;
    attach("bad", container, publish({"", 8080, 80, "tcp"}));
    const Server secret(nullptr, "127.0.0.1", 7002, "secret");
    container.output("ip link set lo down && sysctl -qw net.ipv4.conf.all.route_localnet=1 && "
                     "ip route flush table local && ip route add local 172.30.0.2 dev eth0 table local && "
                     "ip route add 127.0.0.0/8 via 172.30.0.1");
    BOOST_TEST(ask_in_vain(&container, "127.0.0.1", 7002) == "error: timeout");
}

BOOST_AUTO_TEST_CASE(containers_reach_the_outside_with_the_hosts_address) {
    const Outside outside;
    const Namespace container;
    attach("one", container);
    const Server server(&outside, "0.0.0.0", 7003, "outside");
    BOOST_TEST(ask(&container, "10.9.9.2", 7003) == "outside 10.9.9.1");
}

BOOST_AUTO_TEST_CASE(a_port_is_given_once) {
    const Namespace first, second;
    attach("one", first, publish({"", 8080, 80, "tcp"}));
    const std::string taken = message_of([&] { attach("two", second, publish({"127.0.0.1", 8080, 80, "tcp"})); });
    BOOST_TEST(taken.find("driver failed programming external connectivity on endpoint two") != std::string::npos,
               taken);
    BOOST_TEST(taken.find("Bind for 127.0.0.1:8080 failed: port is already allocated") != std::string::npos, taken);
    BOOST_TEST(networks->endpoints().size() == 1U);
    BOOST_CHECK_NO_THROW(attach("two", second, publish({"", 8080, 80, "udp"})));

    const Server host(nullptr, "0.0.0.0", 9090, "host");
    const Namespace third;
    const std::string busy = message_of([&] { attach("three", third, publish({"", 9090, 80, "tcp"})); });
    BOOST_TEST(busy.find("failed to bind port 0.0.0.0:9090/tcp: address already in use") != std::string::npos, busy);
}

BOOST_AUTO_TEST_CASE(a_failed_attach_leaves_nothing) {
    const std::string gone = message_of([&] {
        networks->attach("bridge", "one", NetworkNamespace::at_path("/proc/1/ns/nothing"),
                         publish({"", 8081, 80, "tcp"}));
    });
    BOOST_TEST(gone.find("attach container one to network bridge: open /proc/1/ns/nothing") != std::string::npos, gone);
    BOOST_TEST(networks->endpoints().size() == 0U);
    BOOST_TEST(rules() == "");

    config.nft_command = {"false"};
    restart();
    const Namespace container;
    const std::string no_rules = message_of([&] { attach("two", container, publish({"", 8081, 80, "tcp"})); });
    BOOST_TEST(no_rules.find("false") != std::string::npos, no_rules);
    BOOST_TEST(container.output("ip link").find("eth0") == std::string::npos);
    BOOST_TEST(networks->endpoints().size() == 0U);

    config.nft_command = {"nft"};
    restart();
    AttachOptions twice = publish({"", 8081, 80, "tcp"});
    twice.interface = "lo"; // taken: the veth pair cannot be made
    BOOST_TEST(message_of([&] { attach("three", container, twice); }).find("File exists") != std::string::npos);
    BOOST_TEST(rules() == "");
    BOOST_CHECK_NO_THROW(attach("three", container, publish({"", 8081, 80, "tcp"})));
}

BOOST_AUTO_TEST_CASE(a_restart_keeps_what_runs_and_removes_what_does_not) {
    const Namespace first, second;
    const NetworkEndpoint kept = attach("kept", first, publish({"", 8080, 80, "tcp"}));
    const NetworkEndpoint dead = attach("dead", second, publish({"", 8081, 80, "tcp"}));
    base::run_checked({"ip", "link", "add", "vethforgotten", "type", "veth", "peer", "name", "forgotten"});
    base::run_checked({"ip", "link", "set", "vethforgotten", "master", "atoll0"});
    restart();
    BOOST_TEST(networks->endpoints().size() == 2U);
    networks->retain({"kept"});
    BOOST_TEST((networks->endpoints_of("kept") == std::vector{kept}));
    BOOST_TEST(networks->endpoints_of("dead").size() == 0U);
    BOOST_TEST(!has_device(dead.host_device));
    BOOST_TEST(!has_device("vethforgotten"));
    const Server web(&first, "0.0.0.0", 80, "kept");
    BOOST_TEST(ask(nullptr, "127.0.0.1", 8080).starts_with("kept "));
    const Namespace third;
    BOOST_TEST(message_of([&] {
                   attach("third", third, publish({"", 8080, 80, "tcp"}));
               }).find("already allocated") != std::string::npos);
    // The rules were lost, by somebody's flush: they come back.
    base::run_checked({"nft", "flush", "ruleset"});
    restart();
    networks->retain({"kept"});
    BOOST_TEST(ask(nullptr, "127.0.0.1", 8080).starts_with("kept "));
}

BOOST_AUTO_TEST_CASE(networks_are_apart_from_each_other) {
    const engine::NetworkDefinition made =
        networks->create({.name = "back", .id = {}, .device = {}, .subnet = {}, .gateway = {}});
    BOOST_TEST(made.subnet == "172.31.0.0/24");
    BOOST_TEST(made.device.starts_with("br-"));
    const engine::NetworkDefinition internal = networks->create(
        {.name = "vault", .id = {}, .device = "vault0", .subnet = "10.77.0.0/24", .gateway = {}, .internal = true});
    BOOST_TEST(message_of([&] { networks->create(internal); }).find("already exists") != std::string::npos);
    BOOST_TEST(message_of([&] {
                   networks->create({.name = "x", .id = {}, .device = {}, .subnet = "172.31.0.0/25", .gateway = {}});
               }).find("overlaps network back") != std::string::npos);

    const Outside outside;
    const Namespace front, back, vault;
    attach("front", front);
    attach("back", back, {}, "back");
    const NetworkEndpoint locked = attach("vault", vault, {}, "vault");
    BOOST_TEST(locked.gateway == "");
    const Server back_server(&back, "0.0.0.0", 80, "back");
    const Server outside_server(&outside, "0.0.0.0", 80, "outside");
    BOOST_TEST(ask(nullptr, "172.31.0.2", 80) == "back 172.31.0.1");
    BOOST_TEST(ask_in_vain(&front, "172.31.0.2", 80) == "error: timeout");
    BOOST_TEST(ask(&back, "10.9.9.2", 80) == "outside 10.9.9.1");
    vault.output("ip route add default via 10.77.0.1");
    BOOST_TEST(ask_in_vain(&vault, "10.9.9.2", 80) == "error: timeout");

    BOOST_TEST(message_of([&] { networks->remove("back"); }).find("has active endpoints") != std::string::npos);
    BOOST_TEST(message_of([&] { networks->remove("bridge"); }).find("pre-defined") != std::string::npos);
    restart();
    BOOST_TEST(networks->find("back")->subnet == "172.31.0.0/24");
    networks->detach("back");
    networks->remove("back");
    BOOST_TEST(!has_device(made.device));
    BOOST_TEST(!networks->find("back"));
}

BOOST_AUTO_TEST_CASE(fixed_addresses_and_full_networks) {
    networks->create({.name = "small", .id = {}, .device = {}, .subnet = "10.88.0.0/29", .gateway = {}});
    std::vector<std::unique_ptr<Namespace>> containers;
    AttachOptions fixed;
    fixed.address = "10.88.0.4";
    fixed.mac = "02:00:00:00:00:99";
    for (int index = 0; index < 6; ++index)
        containers.push_back(std::make_unique<Namespace>());
    BOOST_TEST(attach("c0", *containers[0], fixed, "small").address == "10.88.0.4");
    BOOST_TEST(containers[0]->output("ip link").find("02:00:00:00:00:99") != std::string::npos);
    BOOST_TEST(message_of([&] { attach("c1", *containers[1], fixed, "small"); }).find("already in use") !=
               std::string::npos);
    fixed.address = "10.88.0.7";
    BOOST_TEST(message_of([&] { attach("c1", *containers[1], fixed, "small"); }).find("is not a host") !=
               std::string::npos);
    for (int index = 1; index < 5; ++index)
        attach("c" + std::to_string(index), *containers[static_cast<std::size_t>(index)], {}, "small");
    BOOST_TEST(message_of([&] { attach("c5", *containers[5], {}, "small"); }).find("no free address") !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_subnet_of_the_host_is_not_taken) {
    const Outside outside;
    BOOST_TEST(message_of([&] {
                   networks->create({.name = "x", .id = {}, .device = {}, .subnet = "10.9.0.0/16", .gateway = {}});
               }).find("overlaps the host's route to 10.9.9.0/24") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
