#include <boost/test/unit_test.hpp>

#include "rig.hpp"

using fleet_test::Rig;

namespace {

/// A web server that ends at once on SIGTERM and shows the variable MODE.
std::string web_unit(const std::string& mode, const std::string& more = {}) {
    return "name: web\n"
           "image: busybox:1\n"
           "command: [sh, -c, 'echo $MODE > /www/index.html; trap \"exit 0\" TERM; "
           "httpd -p 8080 -h /www; while :; do sleep 0.1; done']\n"
           "env: {MODE: " +
           mode +
           "}\n"
           "ports: [\"8080:8080\"]\n"
           "health: {command: [wget, -q, -O, /dev/null, 'http://127.0.0.1:8080/'], interval: 200ms, timeout: 5s}\n" +
           more;
}

/// Waits, and ends at once on SIGTERM.
const std::string idle = "command: [sh, -c, 'trap \"exit 0\" TERM; while :; do sleep 0.1; done']\n";

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(units, Rig)

BOOST_AUTO_TEST_CASE(a_unit_from_its_file_to_its_end) {
    fleetctl_ok({"submit", write("web.yaml", web_unit("one"))});
    BOOST_TEST(contains(fleetctl_ok({"list-units"}), "inactive"));
    BOOST_TEST(!has_container("fleet-web-0"));
    fleetctl_ok({"start", "web"}); // returns when it is healthy
    BOOST_TEST(fetch(8080) == "one\n");
    BOOST_TEST(contains(fleetctl_ok({"status", "web"}), "running, healthy"));
    BOOST_TEST(fleetctl_ok({"cat", "web"}) == web_unit("one"));

    fleetctl_ok({"start", write("web.yaml", web_unit("two"))}); // changed: replaced
    BOOST_TEST(fetch(8080) == "two\n");

    fleetctl_ok({"stop", "web"});
    BOOST_TEST(fetch(8080) == "");
    BOOST_TEST(has_container("fleet-web-0"));
    fleetctl_ok({"destroy", "web"});
    BOOST_TEST(!has_container("fleet-web-0"));
    BOOST_TEST(fleetctl({"status", "web"}).status.code == 1);
}

BOOST_AUTO_TEST_CASE(daemons_may_die_and_containers_stay) {
    fleetctl_ok({"start", "-"}, web_unit("one"));
    const std::string id = container_id("fleet-web-0");
    kill_fleetd();
    BOOST_TEST(fetch(8080) == "one\n");
    start_fleetd();
    fleetctl_ok({"start", "web"}); // looks, and finds it as wanted
    BOOST_TEST(container_id("fleet-web-0") == id);

    kill_engine();
    BOOST_TEST(fetch(8080) == "one\n");
    wait_until("fleetd notices", [&] { return contains(fleetctl_ok({"list-hosts"}), "engine unreachable"); });
    BOOST_TEST(contains(fleetctl_ok({"list-units"}), "unknown"));
    start_engine();
    wait_until("fleetd sees it again", [&] { return contains(fleetctl_ok({"list-units"}), "healthy"); });
    BOOST_TEST(container_id("fleet-web-0") == id);
    BOOST_TEST(fetch(8080) == "one\n");
}

BOOST_AUTO_TEST_CASE(units_survive_a_reboot) {
    fleetctl_ok({"start", "-"}, web_unit("one"));
    fleetctl_ok({"start", "-"}, "name: stopped\nimage: busybox:1\n" + idle);
    fleetctl_ok({"stop", "stopped"});
    const std::string id = container_id("fleet-web-0");
    shut_down();
    BOOST_TEST(fetch(8080) == "");
    start_engine();
    start_fleetd();
    fleetctl_ok({"start", "web"});
    BOOST_TEST(fetch(8080) == "one\n");
    BOOST_TEST(container_id("fleet-web-0") == id); // adopted
    wait_until("the stopped one is known", [&] {
        return contains(fleetctl_ok({"status", "stopped"}), "stopped/0") &&
               contains(fleetctl_ok({"status", "stopped"}), ": stopped");
    });
}

BOOST_AUTO_TEST_CASE(units_destroyed_while_the_engine_is_away_are_gone_after) {
    fleetctl_ok({"start", "-"}, web_unit("one"));
    kill_engine();
    fleetctl_ok({"destroy", "--no-block", "web"});
    start_engine();
    wait_until("the container is gone", [] { return !has_container("fleet-web-0"); });
    BOOST_TEST(fetch(8080) == "");
}

// What the container sees, by its own words.
BOOST_AUTO_TEST_CASE(env_mounts_and_command_reach_the_container) {
    base::make_directories(directory() / "data");
    write("data/file", "from the host\n");
    fleetctl_ok({"start", "-"}, "name: probe\nimage: busybox:1\nrestart: no\nenv: {MODE: probe}\n"
                                "mounts: [\"" +
                                    directory().path() + "/data:/ro:ro\", \"" + directory().path() +
                                    "/data:/rw\"]\n"
                                    "command: [sh, -c, 'echo $MODE; cat /ro/file; touch /ro/x || echo read-only; "
                                    "touch /rw/made']\n");
    const std::string log = fleetctl_ok({"logs", "probe", "-n", "100"});
    BOOST_TEST(contains(log, "probe\nfrom the host\n"), log);
    BOOST_TEST(contains(log, "read-only\n"), log);
    BOOST_TEST(base::read_file_if_exists(directory() / "data/made").has_value());
    BOOST_TEST(contains(fleetctl_ok({"list-units"}), "exited"));
}

BOOST_AUTO_TEST_CASE(what_cannot_work_is_told_and_exits_1) {
    const auto fails_with = [&](const std::string& unit, const std::string& text) {
        const base::RunResult result = fleetctl({"start", "-"}, unit);
        BOOST_TEST(result.status.code == 1, unit);
        BOOST_TEST(contains(result.errors, text), result.output + result.errors);
    };
    fails_with("name: absent\nimage: absent:1\n", "image absent:1 is not present and cannot be pulled");
    fails_with("name: exits\nimage: busybox:1\nrestart: no\ncommand: [sh, -c, exit 3]\n", "failed (exit code 3)");
    fails_with("name: nosuch\nimage: busybox:1\ncommand: [/no/such]\n", "/no/such");
    fails_with("name: loops\nimage: busybox:1\ncommand: [\"false\"]\n", "restarting");
    fails_with("name: ill\nimage: busybox:1\n" + idle + "health: {command: [\"false\"], interval: 100ms, retries: 1}\n",
               "unhealthy");
    fleetctl_ok({"start", "-"}, "name: first\nimage: busybox:1\n" + idle + "ports: [\"90:90\"]\n");
    fails_with("name: second\nimage: busybox:1\nports: [\"90:91\"]\n", "is taken by first replica 0");
    // The image comes later: the unit runs without being asked for again.
    load_image("absent:1");
    fleetctl_ok({"start", "-"}, "name: absent\nimage: absent:1\n" + idle);
}

BOOST_AUTO_TEST_CASE(bad_files_are_told_with_places_and_nothing_is_submitted) {
    const std::string good = write("good.yaml", "name: good\nimage: busybox:1\n");
    const std::string bad = write("bad.yaml", "name: bad\nimage: \"a b\"\nport: 80\n");
    const base::RunResult result = fleetctl({"submit", good, bad});
    BOOST_TEST(result.status.code == 1);
    BOOST_TEST(contains(result.errors, bad + ":2:8: image: "), result.errors);
    BOOST_TEST(contains(result.errors, bad + ":3:1: port: unknown key"), result.errors);
    BOOST_TEST(!contains(fleetctl_ok({"list-units"}), "good"));
    BOOST_TEST(fleetctl({"submit", "missing.yaml"}).status.code == 1);
    BOOST_TEST(fleetctl({}).status.code == 2);
    BOOST_TEST(fleetctl({"start"}).status.code == 2);
    BOOST_TEST(fleetctl({"stop", "a/b"}).status.code == 2);
    BOOST_TEST(fleetctl({"--address", "https://127.0.0.1:1", "list-units"}).status.code == 2);
    BOOST_TEST(fleetctl({"--address", "unix:/nowhere", "list-units"}).status.code == 1);
}

BOOST_AUTO_TEST_CASE(from_another_machine_with_a_certificate) {
    configure_tls(4001);
    kill_fleetd();
    start_fleetd();
    const std::string address = "ATOLL_FLEET_ADDRESS=https://127.0.0.1:4001";
    const std::string tls = directory() / "tls";
    const base::RunResult listed = fleetctl({"list-hosts", "--json"}, "", {address, "ATOLL_FLEET_TLS_DIR=" + tls});
    BOOST_TEST(listed.status.success(), listed.errors);
    BOOST_TEST(contains(listed.output, "\"state\":\"ready\""), listed.output);
    BOOST_TEST(fleetctl({"--tls-ca", tls + "/ca.pem", "--tls-cert", tls + "/cert.pem", "--tls-key", tls + "/key.pem",
                         "list-units"},
                        "", {address})
                   .status.success());
    // A certificate that the authority did not sign.
    base::run_checked({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                       "-keyout", tls + "/other.key", "-out", tls + "/other.pem", "-days", "2", "-subj", "/CN=other"});
    BOOST_TEST(fleetctl({"--tls-ca", tls + "/ca.pem", "--tls-cert", tls + "/other.pem", "--tls-key", tls + "/other.key",
                         "list-units"},
                        "", {address})
                   .status.code == 1);
}

BOOST_AUTO_TEST_SUITE_END()
