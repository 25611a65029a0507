#include <boost/test/unit_test.hpp>

#include "api/create_body.hpp"
#include "base/http/server.hpp"

using namespace engine;
using namespace engine::api;

namespace {

std::string refusal(const std::string& text) {
    try {
        parse_create_body(text);
    } catch (const base::http::HttpError& error) {
        return fmt::format("{} {}", error.status(), error.what());
    }
    return "accepted";
}

CreateBody with_host_config(const std::string& members) {
    return parse_create_body(R"({"Image":"busybox","HostConfig":{)" + members + "}}");
}

} // namespace

BOOST_AUTO_TEST_SUITE(create_body)

/// What docker 28.2.2 sends for a plain `docker run busybox true`, shortened by fields that are null.
BOOST_AUTO_TEST_CASE(the_clients_usual_body_is_accepted) {
    const CreateBody body = parse_create_body(R"({
        "Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":true,"AttachStderr":true,"Tty":false,
        "OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":["true"],"Image":"busybox","Volumes":{},"WorkingDir":"",
        "Entrypoint":null,"OnBuild":null,"Labels":{},
        "HostConfig":{"Binds":null,"ContainerIDFile":"","LogConfig":{"Type":"","Config":{}},"NetworkMode":"default",
            "PortBindings":{},"RestartPolicy":{"Name":"no","MaximumRetryCount":0},"AutoRemove":true,"VolumeDriver":"",
            "VolumesFrom":null,"ConsoleSize":[24,80],"CapAdd":null,"CapDrop":null,"CgroupnsMode":"","Dns":[],
            "DnsOptions":[],"DnsSearch":[],"ExtraHosts":null,"GroupAdd":null,"IpcMode":"","Cgroup":"","Links":null,
            "OomScoreAdj":0,"PidMode":"","Privileged":false,"PublishAllPorts":false,"ReadonlyRootfs":false,
            "SecurityOpt":null,"UTSMode":"","UsernsMode":"","ShmSize":0,"Isolation":"","CpuShares":0,"Memory":0,
            "NanoCpus":0,"CgroupParent":"","BlkioWeight":0,"BlkioWeightDevice":[],"BlkioDeviceReadBps":[],
            "CpuPeriod":0,"CpuQuota":0,"CpuRealtimePeriod":0,"CpuRealtimeRuntime":0,"CpusetCpus":"","CpusetMems":"",
            "Devices":[],"DeviceCgroupRules":null,"DeviceRequests":null,"MemoryReservation":0,"MemorySwap":0,
            "MemorySwappiness":-1,"OomKillDisable":false,"PidsLimit":0,"Ulimits":[],"CpuCount":0,"CpuPercent":0,
            "IOMaximumIOps":0,"IOMaximumBandwidth":0,"MaskedPaths":null,"ReadonlyPaths":null},
        "NetworkingConfig":{"EndpointsConfig":{"default":{"IPAMConfig":null,"Links":null,"Aliases":null,
            "MacAddress":"","DriverOpts":null,"NetworkID":"","EndpointID":"","Gateway":"","IPAddress":""}}}})");
    BOOST_TEST(body.config.image == "busybox");
    BOOST_TEST(body.config.command.at(0) == "true");
    BOOST_TEST(body.config.network_mode == "bridge");
    BOOST_TEST(body.config.auto_remove);
    BOOST_TEST(!body.config.masked_paths);
    BOOST_TEST(body.config.mounts.empty());
    BOOST_TEST(!body.config.api_data.empty());
}

BOOST_AUTO_TEST_CASE(commands_may_be_one_string) {
    const CreateBody body = parse_create_body(R"({"Image":"x","Cmd":"ls","Entrypoint":["sh","-c"]})");
    BOOST_TEST(body.config.command.size() == 1U);
    BOOST_TEST(body.config.entrypoint.size() == 2U);
}

BOOST_AUTO_TEST_CASE(mounts_in_every_spelling) {
    const CreateBody body = parse_create_body(R"({"Image":"x","Volumes":{"/anon":{},"/named":{}},"HostConfig":{
        "Binds":["/host:/bind:ro,rslave","data:/named:nocopy","/a//b/./c:/d/"],
        "Mounts":[{"Type":"bind","Source":"/m","Target":"/mount"},{"Type":"tmpfs","Target":"/t","TmpfsOptions":{"SizeBytes":4096,"Mode":448}},
                  {"Type":"volume","Target":"/v","ReadOnly":true}],
        "Tmpfs":{"/run":"rw,size=64k"}}})");
    const auto mount = [&](const std::string& target) {
        for (const ContainerMount& each : body.config.mounts)
            if (each.target == target)
                return each;
        BOOST_FAIL("no mount on " << target);
        return ContainerMount();
    };
    BOOST_TEST(body.config.mounts.size() == 8U);
    BOOST_TEST(mount("/bind").read_only);
    BOOST_TEST(mount("/bind").propagation == "rslave");
    BOOST_TEST(mount("/d").source == "/a/b/c");
    BOOST_TEST((mount("/named").type == ContainerMount::Type::volume));
    BOOST_TEST(mount("/named").volume_name == "data");
    BOOST_TEST((mount("/anon").type == ContainerMount::Type::volume));
    BOOST_TEST(mount("/anon").volume_name.empty());
    BOOST_TEST(mount("/v").read_only);
    BOOST_TEST(mount("/t").options.at(0) == "size=4096");
    BOOST_TEST(mount("/t").options.at(1) == "mode=700");
    BOOST_TEST(mount("/run").options.at(0) == "size=64k");
    BOOST_TEST(body.create_sources.contains("/bind"));
    BOOST_TEST(!body.create_sources.contains("/mount"));
    BOOST_TEST(body.no_copy.contains("/named"));
}

BOOST_AUTO_TEST_CASE(bad_mounts_are_refused) {
    for (const char* member :
         {R"("Binds":["/a:relative"])", R"("Binds":["/a:/"])", R"("Binds":["/a:/b:/c:/d"])",
          R"("Binds":["/a/../b:/c"])", R"("Binds":["./a:/b"])", R"("Binds":["/a:/b:weird"])",
          R"("Binds":["/a:/x","/b:/x"])", R"("Mounts":[{"Type":"npipe","Source":"/","Target":"/x"}])",
          R"("Mounts":[{"Type":"bind","Source":"a","Target":"/x"}])", R"("Mounts":[{"Type":"bind","Source":"/a"}])",
          R"("Mounts":["x"])", R"("Mounts":[{"Type":"volume","Source":"../x","Target":"/x"}])", R"("Tmpfs":{"/":""})"})
        BOOST_TEST(refusal(std::string(R"({"Image":"x","HostConfig":{)") + member + "}}").starts_with("400 "), member);
}

BOOST_AUTO_TEST_CASE(ports_are_read) {
    const CreateBody body = with_host_config(
        R"("PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"8080"},{"HostIp":"127.0.0.1","HostPort":""}],"53/udp":[{}],"90":null})");
    BOOST_TEST(body.config.ports.size() == 3U);
    BOOST_TEST(body.exposed_ports.contains("90/tcp"));
    for (const char* member :
         {R"("PortBindings":{"0/tcp":[]})", R"("PortBindings":{"80/sctp":[]})", R"("PortBindings":{"70000/tcp":[]})",
          R"("PortBindings":{"80/tcp":[{"HostPort":"99999"}]})", R"("PortBindings":{"80/tcp":[{"HostPort":"1-2"}]})",
          R"("PortBindings":{"80/tcp":[{"HostIp":"::1","HostPort":"1"}]})"})
        BOOST_TEST(refusal(std::string(R"({"HostConfig":{)") + member + "}}").starts_with("400 "), member);
}

BOOST_AUTO_TEST_CASE(security_is_read_and_never_weakened_by_a_typing_error) {
    const ContainerConfig config =
        with_host_config(
            R"("SecurityOpt":["no-new-privileges","seccomp=unconfined"],"CapDrop":["ALL"],"MaskedPaths":[])")
            .config;
    BOOST_TEST(config.no_new_privileges);
    BOOST_TEST(config.seccomp == "unconfined");
    BOOST_TEST(config.cap_drop.at(0) == "ALL");
    BOOST_REQUIRE(config.masked_paths);
    BOOST_TEST(config.masked_paths->empty());
    for (const char* option :
         {"seccomp=", "no-new-privilege", "apparmor=strict", "label=type:x", "no-new-privileges=maybe"})
        BOOST_TEST(refusal(fmt::format(R"({{"HostConfig":{{"SecurityOpt":["{}"]}}}})", option)).starts_with("400 "),
                   option);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_done_is_named) {
    BOOST_TEST(refusal(R"({"HostConfig":{"UsernsMode":"private"}})") ==
               "400 HostConfig.UsernsMode: \"private\" is not supported");
    BOOST_TEST(refusal(R"({"HostConfig":{"Links":["a:b"]}})") == "400 HostConfig.Links is not supported");
    BOOST_TEST(refusal(R"({"HostConfig":{"Runtime":"kata"}})").starts_with("400 "));
    BOOST_TEST(refusal(R"({"HostConfig":{"OomKillDisable":true}})").starts_with("400 "));
    BOOST_TEST(refusal(R"({"HostConfig":{"LogConfig":{"Type":"syslog"}}})").starts_with("400 "));
    BOOST_TEST(refusal(R"({"NetworkingConfig":{"EndpointsConfig":{"a":{},"b":{}}}})").starts_with("400 "));
}

BOOST_AUTO_TEST_CASE(limits_are_read_and_checked) {
    const Resources resources =
        with_host_config(R"("Memory":67108864,"NanoCpus":500000000,"PidsLimit":10,"CpusetCpus":"0-1")")
            .config.resources;
    BOOST_TEST(resources.memory == 67'108'864);
    BOOST_TEST(resources.nano_cpus == 500'000'000);
    BOOST_TEST(resources.pids_limit == 10);
    for (const char* member : {R"("Memory":1000)", R"("Memory":-1)", R"("NanoCpus":1,"CpuPeriod":1)", R"("ShmSize":-1)",
                               R"("OomScoreAdj":2000)", R"("Memory":67108864,"MemorySwap":1)", R"("Memory":"1g")"})
        BOOST_TEST(refusal(std::string(R"({"HostConfig":{)") + member + "}}").starts_with("400 "), member);
}

BOOST_AUTO_TEST_CASE(restart_policies) {
    const RestartPolicy policy =
        with_host_config(R"("RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3})").config.restart;
    BOOST_TEST((policy.kind == RestartPolicy::Kind::on_failure));
    BOOST_TEST(policy.maximum_retries == 3U);
    BOOST_TEST(refusal(R"({"HostConfig":{"RestartPolicy":{"Name":"sometimes"}}})").starts_with("400 "));
    BOOST_TEST(refusal(R"({"HostConfig":{"AutoRemove":true,"RestartPolicy":{"Name":"always"}}})").starts_with("400 "));
}

BOOST_AUTO_TEST_CASE(health_checks) {
    const HealthConfig health =
        parse_create_body(R"({"Healthcheck":{"Test":["CMD-SHELL","x"],"Interval":5000000000}})").config.health;
    BOOST_TEST((health.kind == HealthConfig::Kind::shell));
    BOOST_TEST(health.interval.count() == 5000);
    BOOST_TEST(parse_create_body(R"({"Healthcheck":{"Test":["NONE"]}})").config.health.command.at(0) == "NONE");
    BOOST_TEST(refusal(R"({"Healthcheck":{"Test":["CMD","x"],"Interval":5}})").starts_with("400 "));
}

BOOST_AUTO_TEST_CASE(bad_json_is_a_bad_request) {
    for (const char* text : {"", "{", "[]", "null", R"({"Cmd":1})", R"({"Env":["A"]})", R"({"Env":["=x"]})",
                             R"({"User":"a\u0000b"})", R"({"WorkingDir":"relative"})", R"({"Image":"a","Image":"b"})"})
        BOOST_TEST(refusal(text).starts_with("400 "), text);
}

BOOST_AUTO_TEST_CASE(updates_change_what_they_name) {
    Resources current;
    current.memory = 67'108'864;
    const UpdateBody body = parse_update_body(
        R"({"Memory":0,"CpuShares":512,"RestartPolicy":{"Name":"always","MaximumRetryCount":0}})", current);
    BOOST_REQUIRE(body.resources);
    BOOST_TEST(body.resources->memory == 67'108'864);
    BOOST_TEST(body.resources->cpu_shares == 512);
    BOOST_REQUIRE(body.restart);
    BOOST_TEST(!parse_update_body(R"({"Memory":0,"RestartPolicy":{"Name":""}})", current).resources);
    BOOST_TEST(!parse_update_body(R"({"RestartPolicy":{"Name":""}})", current).restart);
}

BOOST_AUTO_TEST_SUITE_END()
