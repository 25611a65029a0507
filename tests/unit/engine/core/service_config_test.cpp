#include "core/service_config.hpp"

#include <boost/test/unit_test.hpp>

#include "base/config_reader.hpp"

namespace {

constexpr const char* example = R"(
name: updater
description: atomic updates
rootfs: host
command: [/usr/bin/updaterd]
required: true
after: [network]
restart: always
network: host
pid: host
capabilities: [CAP_SYS_ADMIN]
mounts:
  - {source: /sysroot, target: /sysroot, options: [rbind, rw]}
environment: {NAME: value}
devices: [/dev/vda]
seccomp: default
memory_min: 16MiB
memory_max: 128MiB
stop_timeout: 10s
health: {command: [/usr/bin/updatectl, status], interval: 10s, timeout: 5s, retries: 3, start_period: 20s}
)";

/// The problems of a service that is wrong.
std::string problems_of(const std::string& text) {
    try {
        (void)engine::parse_service(text, "t.yaml");
    } catch (const base::ConfigError& error) {
        return error.what();
    }
    return {};
}

engine::ServiceConfig named(const std::string& name, std::vector<std::string> after) {
    engine::ServiceConfig service;
    service.name = name;
    service.after = std::move(after);
    return service;
}

std::string order_of(std::vector<engine::ServiceConfig> services, std::vector<std::string>& problems) {
    std::string order;
    for (const auto& service : engine::order_services(std::move(services), problems))
        order += service.name + " ";
    return order;
}

} // namespace

BOOST_AUTO_TEST_SUITE(service_config)

BOOST_AUTO_TEST_CASE(the_documented_example_is_read) {
    const auto service = engine::parse_service(example, "updater.yaml");
    BOOST_TEST(service.name == "updater");
    BOOST_TEST(service.image.empty());
    BOOST_TEST(service.required);
    BOOST_TEST(service.host_pid);
    BOOST_TEST(service.after.at(0) == "network");
    BOOST_TEST((service.restart.kind == engine::RestartPolicy::Kind::always));
    BOOST_TEST(service.mounts.at(0).options.at(1) == "rw");
    BOOST_TEST(service.environment.at("NAME") == "value");
    BOOST_TEST(service.memory_min == 16U * 1024 * 1024);
    BOOST_TEST(service.stop_timeout.count() == 10'000);
    BOOST_TEST((service.health.kind == engine::HealthConfig::Kind::command));
    BOOST_TEST(service.health.retries == 3U);
    BOOST_TEST(service.health.start_period.count() == 20'000);
}

BOOST_AUTO_TEST_CASE(the_least_is_enough_and_gives_the_least) {
    const auto service = engine::parse_service("name: echo\nimage: atoll/echo\n", "echo.yaml");
    BOOST_TEST(service.image == "atoll/echo");
    BOOST_TEST(service.network == "none");
    BOOST_TEST(service.capabilities.empty());
    BOOST_TEST(service.seccomp);
    BOOST_TEST(!service.required);
}

BOOST_AUTO_TEST_CASE(mistakes_are_named) {
    const auto says = [](const std::string& text, const std::string& problem) {
        BOOST_TEST(problems_of(text).find(problem) != std::string::npos, problems_of(text)
                                                                             << " should say " << problem);
    };
    says("name: a b\nimage: x\n", "name:");
    says("name: ab\n", "exactly one of rootfs and image");
    says("name: ab\nimage: x\nrootfs: host\ncommand: [y]\n", "exactly one of rootfs and image");
    says("name: ab\nrootfs: host\n", "command");
    says("name: ab\nrootfs: elsewhere\ncommand: [x]\n", "rootfs: must be host");
    says("name: ab\nimage: x\nnetwork: bridge\n", "network: must be host or none");
    says("name: ab\nimage: x\nrestart: unless-stopped\n", "restart:");
    says("name: ab\nimage: x\ncapabilities: [SYS_ADMIN]\n", "CAP_");
    says("name: ab\nimage: x\ndevices: [/etc/passwd]\n", "below /dev");
    says("name: ab\nimage: x\ndevices: [/dev/../etc/passwd]\n", "below /dev");
    says("name: ab\nimage: x\nmounts: [{source: rel, target: /x}]\n", "absolute path");
    says("name: ab\nimage: x\nmounts: [{source: /x, target: /}]\n", "absolute path");
    says("name: ab\nimage: x\nmounts: [{source: /x, target: /y, options: [suid]}]\n", "unknown option");
    says("name: ab\nimage: x\nhealth: {command: []}\n", "must not be empty");
    says("name: ab\nimage: x\nmemory_min: 2MiB\nmemory_max: 1MiB\n", "memory_min");
    says("name: ab\nimage: x\nseccomp: off\n", "seccomp");
    says("name: ab\nimage: x\ncomand: [x]\n", "comand");
}

BOOST_AUTO_TEST_CASE(services_are_ordered) {
    std::vector<std::string> problems;
    BOOST_TEST(order_of({named("c", {"b"}), named("b", {"a"}), named("a", {}), named("d", {"a"})}, problems) ==
               "a b c d ");
    BOOST_TEST(problems.empty());
}

BOOST_AUTO_TEST_CASE(a_broken_order_starts_everything_all_the_same) {
    std::vector<std::string> problems;
    BOOST_TEST(order_of({named("a", {"b"}), named("b", {"a"}), named("c", {"nothere"})}, problems) == "c a b ");
    BOOST_TEST(problems.size() == 2U);
}

BOOST_AUTO_TEST_SUITE_END()
