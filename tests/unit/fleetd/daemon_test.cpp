// The agent, the leader, the API and fleetctl's client together, against an engine in memory.
#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/http/client.hpp"
#include "ctl/fleet_client.hpp"
#include "ctl/progress.hpp"
#include "daemon/agent.hpp"
#include "daemon/api.hpp"
#include "daemon/host_identity.hpp"
#include "daemon/leader.hpp"
#include "fake_docker.hpp"

using namespace fleet;
using namespace std::chrono_literals;
using fleet_test::FakeDocker;

namespace {

/// fleetd's parts, turned by hand: no thread, no waiting.
struct Fixture {
    base::TempDir directory{"fleet-daemon"};
    std::string docker_socket = directory / "docker.sock";
    std::string api_socket = directory / "fleet.sock";
    std::unique_ptr<FakeDocker> docker = std::make_unique<FakeDocker>(docker_socket);
    std::unique_ptr<Store> store = open_sqlite_store(directory / "fleet.db");
    Host host = load_host_identity(directory.path());
    EngineFactory connect = [this] {
        return connect_docker_engine("unix:" + docker_socket);
    };
    std::unique_ptr<UnitRegistry> registry = std::make_unique<UnitRegistry>(*store);
    std::unique_ptr<Leader> leader = std::make_unique<Leader>(*store);
    std::unique_ptr<Agent> agent = std::make_unique<Agent>(*store, host, connect);
    std::unique_ptr<Api> api = std::make_unique<Api>(*store, *registry, host.id, connect);
    base::http::Server server;
    TimePoint now = std::chrono::steady_clock::now();

    Fixture() {
        docker->add_image("busybox:1");
        server.listen_unix(api_socket, 0600, [this](base::http::Request& request, base::http::Response& response) {
            api->handle(request, response);
        });
        server.start();
    }
    ~Fixture() { server.stop(); }

    FleetClient client() const { return FleetClient(FleetAddress{"unix:" + api_socket, std::nullopt}); }
    base::http::ClientResponse call(const std::string& method, const std::string& path, const std::string& body = {},
                                    const std::vector<std::string>& headers = {}) const {
        base::http::ClientRequest request;
        request.method = method;
        request.target = path;
        request.body = body;
        request.headers = headers;
        return base::http::Client("unix:" + api_socket).send(request);
    }
    static std::string unit_text(const std::string& name, const std::string& more = {}) {
        return fmt::format("name: {}\nimage: busybox:1\n{}", name, more);
    }
    void submit(const std::string& text, const std::string& name = "web",
                std::optional<Desired> desired = Desired::launched) const {
        client().submit(name, text, "unit.yaml", desired);
    }
    /// Turns leader and agent until nothing more is to be done.
    void settle() {
        for (int i = 0; i < 50; ++i) {
            while (!leader->turn()) {
            }
            if (agent->turn(now) > 0ms) {
                now += proving_time; // what runs has done so for a while at the next look
                agent->turn(now);
                return;
            }
        }
        BOOST_FAIL("never settles");
    }
    ReplicaReport replica(const std::string& name = "web", unsigned number = 0) const {
        return client().status(name).value().replicas.at(number).report;
    }
    void restart_fleetd() {
        server.stop();
        agent.reset();
        leader.reset();
        api.reset();
        registry.reset();
        store.reset();
        store = open_sqlite_store(directory / "fleet.db");
        registry = std::make_unique<UnitRegistry>(*store);
        leader = std::make_unique<Leader>(*store);
        agent = std::make_unique<Agent>(*store, load_host_identity(directory.path()), connect);
        api = std::make_unique<Api>(*store, *registry, host.id, connect);
    }
    /// Turns the agent, without time passing, until `what`: for what the puller's thread does.
    void turn_until(const std::function<bool()>& what) {
        const auto deadline = std::chrono::steady_clock::now() + 10s;
        while (!what()) {
            BOOST_REQUIRE(std::chrono::steady_clock::now() < deadline);
            agent->turn(now);
        }
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(fleet_daemon, Fixture)

BOOST_AUTO_TEST_CASE(the_life_of_a_unit) {
    submit(unit_text("web", "command: [httpd]\nports: [\"80:8080\"]\n"), "web", std::nullopt);
    settle();
    BOOST_TEST(docker->count() == 0U); // inactive
    client().set_desired("web", Desired::launched);
    settle();
    BOOST_TEST(docker->get("fleet-web-0").state == "running");
    BOOST_TEST(replica().converged);
    BOOST_TEST(replica().state == "running");
    BOOST_TEST(client().logs("web", 0, 10) == "hello\noops");

    client().set_desired("web", Desired::loaded);
    BOOST_TEST(!replica().converged); // what the agent said is older than what is wanted
    settle();
    BOOST_TEST(docker->get("fleet-web-0").state == "exited");
    BOOST_TEST(replica().state == "stopped");

    client().set_desired("web", Desired::launched);
    settle();
    BOOST_TEST(docker->get("fleet-web-0").starts == 2U); // the same container

    client().destroy("web");
    BOOST_TEST(client().status("web").value().desired == "destroyed");
    settle();
    BOOST_TEST(docker->count() == 0U);
    BOOST_TEST(!client().status("web").has_value());
    BOOST_CHECK_THROW(client().destroy("web"), base::Error);
}

BOOST_AUTO_TEST_CASE(what_the_engine_is_asked_for) {
    submit(unit_text("web",
                     "command: [httpd, -f]\nenv: {MODE: production}\nports: [\"127.0.0.1:80:8080\", \"53/udp\"]\n"
                     "mounts: [\"/srv:/data:ro\"]\n"
                     "health: {command: [\"true\"], interval: 10s, timeout: 5s, retries: 2}\n"));
    settle();
    const std::string hash = registry->find("web")->hash;
    BOOST_TEST(docker->get("fleet-web-0").body ==
               R"({"Image":"busybox:1","Cmd":["httpd","-f"],"Env":["MODE=production"],"Labels":{)"
               R"("atoll.fleet.unit":"web","atoll.fleet.replica":"0","atoll.fleet.hash":")" +
                   hash + R"(","atoll.fleet.launch":"1","atoll.fleet.store":")" + store->id() +
                   R"("},"ExposedPorts":{"8080/tcp":{},"53/udp":{}},)"
                   R"("Healthcheck":{"Test":["CMD","true"],"Interval":10000000000,"Timeout":5000000000,)"
                   R"("StartPeriod":0,"Retries":2},"HostConfig":{"Binds":["/srv:/data:ro"],)"
                   R"("PortBindings":{"8080/tcp":[{"HostIp":"127.0.0.1","HostPort":"80"}],)"
                   R"("53/udp":[{"HostIp":"","HostPort":""}]},"RestartPolicy":{"Name":"unless-stopped"}}})");
}

BOOST_AUTO_TEST_CASE(fleetd_restarts_and_adopts) {
    submit(unit_text("web"));
    settle();
    const std::size_t before = docker->log().size();
    restart_fleetd();
    settle();
    BOOST_TEST(docker->log().size() == before);
    const FleetSnapshot fleet = read_snapshot(*store);
    BOOST_TEST(unit_status(fleet, "web").at(0).report.converged);
}

BOOST_AUTO_TEST_CASE(another_database_leaves_containers_alone) {
    submit(unit_text("web"));
    settle();
    const std::size_t before = docker->log().size();
    std::filesystem::rename(directory / "fleet.db", directory / "old.db"); // the -wal file goes with the process
    restart_fleetd();
    settle();
    BOOST_TEST(docker->log().size() == before);
    BOOST_TEST(docker->get("fleet-web-0").state == "running");
    BOOST_TEST(read_snapshot(*store).reports.at(host.id).foreign.size() == 1U);
}

BOOST_AUTO_TEST_CASE(what_does_not_belong_to_a_unit_is_left_alone) {
    docker->add_foreign(
        "a",
        R"({"atoll.fleet.unit":"a","atoll.fleet.store":"another","atoll.fleet.replica":"0","atoll.fleet.launch":"1"})");
    docker->add_foreign("b", R"({"atoll.fleet.unit":"b","atoll.fleet.store":")" + store->id() +
                                 R"(","atoll.fleet.replica":"x","atoll.fleet.launch":"1"})");
    settle();
    BOOST_TEST(docker->log().empty());
    BOOST_TEST(client().hosts().at(0).foreign_containers.size() == 2U);
}

BOOST_AUTO_TEST_CASE(nothing_happens_while_the_engine_is_away) {
    submit(unit_text("web"));
    settle();
    docker->stop();
    client().destroy("web");
    settle();
    BOOST_TEST(docker->get("fleet-web-0").state == "running");
    BOOST_TEST(client().status("web").value().replicas.at(0).report.state == "unknown");
    BOOST_TEST(client().hosts().at(0).state == "engine unreachable");
    const auto logs = call("GET", "/v1/units/web/logs");
    BOOST_TEST(logs.status == 502);
    docker = std::make_unique<FakeDocker>(docker_socket); // its containers were lost
    settle();
    BOOST_TEST(!client().status("web").has_value());
    BOOST_TEST(client().hosts().at(0).state == "ready");
}

BOOST_AUTO_TEST_CASE(a_lost_container_is_made_anew) {
    submit(unit_text("web"));
    settle();
    docker = nullptr;
    docker = std::make_unique<FakeDocker>(docker_socket);
    docker->add_image("busybox:1");
    settle();
    settle();
    BOOST_TEST(docker->get("fleet-web-0").state == "running");
}

BOOST_AUTO_TEST_CASE(a_changed_unit_gets_a_new_container) {
    submit(unit_text("web"));
    settle();
    const std::string before = docker->get("fleet-web-0").id;
    submit(unit_text("web", "# only a comment\n"));
    settle();
    BOOST_TEST(docker->get("fleet-web-0").id == before);
    submit(unit_text("web", "env: {A: b}\n"), "web", std::nullopt);
    settle();
    BOOST_TEST(docker->get("fleet-web-0").id != before);
    BOOST_TEST(docker->get("fleet-web-0").state == "running");
}

BOOST_AUTO_TEST_CASE(an_image_is_pulled_or_the_unit_says_why_not) {
    submit("name: web\nimage: registry.example:5000/app:2\n");
    settle();
    turn_until([&] { return !replica().error.empty(); });
    BOOST_TEST(replica().error ==
               "image registry.example:5000/app:2 is not present and cannot be pulled: manifest unknown");
    BOOST_TEST(replica().state == "waiting");
    BOOST_CHECK_THROW(
        {
            FleetClient fleet_client = client();
            wait_until_converged(fleet_client, {"web"}, 1s);
        },
        base::Error);
    docker->add_to_registry("registry.example:5000/app:2");
    now += 10s;
    turn_until([&] { return docker->count() == 1; });
    settle();
    BOOST_TEST(docker->get("fleet-web-0").state == "running");
    BOOST_TEST(replica().error.empty());
}

BOOST_AUTO_TEST_CASE(a_refused_start_is_shown_and_tried_again) {
    docker->refuse("start", "port 80 is in use");
    submit(unit_text("web"));
    settle();
    BOOST_TEST(replica().error.find("port 80 is in use") != std::string::npos, replica().error);
    BOOST_TEST(!replica().converged);
    docker->refuse("start", "");
    agent->turn(now);
    BOOST_TEST(docker->get("fleet-web-0").state == "created"); // not yet
    now += 5s;
    settle();
    BOOST_TEST(docker->get("fleet-web-0").state == "running");
    BOOST_TEST(replica().error.empty());
}

// Whoever loads the image and starts the unit again is not told of the failure before.
BOOST_AUTO_TEST_CASE(starting_again_tries_at_once) {
    submit("name: web\nimage: app:2\n");
    settle();
    turn_until([&] { return !replica().error.empty(); });
    docker->add_image("app:2");
    client().set_desired("web", Desired::launched);
    BOOST_TEST(replica().error.empty());
    settle();
    BOOST_TEST(docker->get("fleet-web-0").state == "running");

    docker->refuse("stop", "busy");
    client().set_desired("web", Desired::loaded);
    settle();
    BOOST_TEST(replica().error.find("busy") != std::string::npos, replica().error);
    docker->refuse("stop", "");
    client().set_desired("web", Desired::loaded);
    settle();
    BOOST_TEST(replica().state == "stopped");
}

// A client that asks in between must neither see two replicas nor take the last failure for this one's.
BOOST_AUTO_TEST_CASE(the_status_between_a_change_and_the_next_look) {
    docker->refuse("create", "no room");
    submit(unit_text("web"));
    settle();
    BOOST_TEST(!replica().error.empty());
    const auto check = [&](const char* when) {
        const UnitStatus status = client().status("web").value();
        BOOST_TEST_CONTEXT(when) {
            BOOST_TEST(status.replicas.size() == 1U);
            BOOST_TEST(hopeless(status).empty());
            BOOST_TEST(!status.converged);
        }
    };
    submit(unit_text("web", "env: {A: b}\n"));
    check("submitted");
    BOOST_TEST(leader->turn());
    check("placed");
    docker->refuse("create", "");
    docker->refuse("start", "no room");
    settle();
    BOOST_TEST(!replica().error.empty());
    client().destroy("web");
    check("destroyed");
    settle();
    BOOST_TEST(!client().status("web").has_value());
    docker->refuse("start", "");
    submit(unit_text("web"));
    settle();
    BOOST_TEST(client().status("web").value().converged);
    client().set_desired("web", Desired::inactive);
    settle();
    BOOST_TEST(client().status("web").value().replicas.empty());
}

BOOST_AUTO_TEST_CASE(a_foreign_container_of_the_same_name_is_not_touched) {
    docker->add_foreign("fleet-web-0", "{}");
    submit(unit_text("web"));
    settle();
    BOOST_TEST(replica().error.find("already in use") != std::string::npos, replica().error);
    BOOST_TEST(docker->log().empty());
}

BOOST_AUTO_TEST_CASE(replicas_that_share_a_host_port_are_reported) {
    submit(unit_text("web", "replicas: 2\nports: [\"80:80\"]\n"));
    settle();
    BOOST_TEST(docker->count() == 1U);
    BOOST_TEST(replica("web", 1).state == "waiting");
    BOOST_TEST(replica("web", 1).error.find("host port 80/tcp") != std::string::npos, replica("web", 1).error);
    BOOST_TEST(hopeless(client().status("web").value()).find("web/1") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(one_shots_run_once_a_launch) {
    submit(unit_text("web", "restart: no\n"));
    settle();
    docker->set("fleet-web-0", "exited", "", 0);
    settle();
    BOOST_TEST(replica().state == "exited");
    BOOST_TEST(replica().converged);
    client().set_desired("web", Desired::launched); // is launched already
    settle();
    BOOST_TEST(docker->get("fleet-web-0").state == "exited");
    client().set_desired("web", Desired::loaded);
    settle();
    client().set_desired("web", Desired::launched);
    settle();
    BOOST_TEST(docker->get("fleet-web-0").state == "running");
}

BOOST_AUTO_TEST_CASE(many_replicas_at_once) {
    submit(unit_text("web", "replicas: 20\n"));
    settle();
    BOOST_TEST(docker->count() == 20U);
    BOOST_TEST(client().status("web").value().converged);
    client().destroy("web");
    settle();
    BOOST_TEST(docker->count() == 0U);
}

// The release after this one wrote it, and this one runs again after a fallback.
BOOST_AUTO_TEST_CASE(a_unit_that_cannot_be_read_is_left_alone_and_shown) {
    submit(unit_text("web"));
    settle();
    const std::size_t before = docker->log().size();
    store->put("units/web", R"({"spec":{"image":"b","restart":"unless-bored"},"hash":"h"})");
    settle();
    BOOST_TEST(docker->log().size() == before);
    BOOST_TEST(client().units().at(0).desired == "unknown");
    BOOST_TEST(client().status("web").value().error.find("unless-bored") != std::string::npos);
    BOOST_TEST(call("GET", "/v1/units/web").status == 500);
    client().destroy("web"); // still possible
    settle();
    BOOST_TEST(docker->count() == 0U);
}

BOOST_AUTO_TEST_CASE(bad_units_are_refused_with_every_problem) {
    const auto response =
        call("PUT", "/v1/units/web", R"({"source":"name: web\nimage: \"\"\nfoo: 1\n","file":"w.yaml"})");
    BOOST_TEST(response.status == 400);
    BOOST_TEST(response.body.find("w.yaml:2:8: image: ") != std::string::npos, response.body);
    BOOST_TEST(response.body.find("w.yaml:3:1: foo: unknown key") != std::string::npos, response.body);
    BOOST_TEST(client().units().empty());
}

BOOST_AUTO_TEST_CASE(a_specification_as_json) {
    const auto response = call(
        "PUT", "/v1/units/web",
        R"({"spec":{"name":"web","image":"busybox:1","env":{"A":"\u00e4\"\\\n/"},"command":["a","b"]},"desired":"loaded"})");
    BOOST_TEST(response.status == 201, response.body);
    BOOST_TEST(registry->find("web")->spec.env.at("A") == "\xc3\xa4\"\\\n/");
    BOOST_CHECK(registry->find("web")->desired == Desired::loaded);
}

BOOST_AUTO_TEST_CASE(requests_that_make_no_sense) {
    submit(unit_text("web"));
    const auto status = [&](const char* method, const char* path, const char* body = "") {
        const auto response = call(method, path, body);
        BOOST_TEST(response.body.find("\"message\"") != std::string::npos, response.body);
        return response.status;
    };
    BOOST_TEST(status("GET", "/") == 404);
    BOOST_TEST(status("GET", "/v1/units/none") == 404);
    BOOST_TEST(status("GET", "/v1/units/none/status") == 404);
    BOOST_TEST(status("GET", "/v1/units/none/logs") == 404);
    BOOST_TEST(status("GET", "/v1/units/web/logs") == 404); // no container yet
    BOOST_TEST(status("GET", "/v1/units/web/logs?tail=x") == 400);
    BOOST_TEST(status("GET", "/v1/units/web/logs?replica=-1") == 400);
    BOOST_TEST(status("GET", "/v1/units/web/other") == 404);
    BOOST_TEST(status("GET", "/v1/units/..%2fweb") == 400);
    BOOST_TEST(status("POST", "/v1/units") == 405);
    BOOST_TEST(status("POST", "/v1/units/web") == 405);
    BOOST_TEST(status("DELETE", "/v1/units/none") == 404);
    BOOST_TEST(status("POST", "/v1/units/none/desired", R"({"desired":"loaded"})") == 404);
    BOOST_TEST(status("POST", "/v1/units/web/desired", R"({"desired":"running"})") == 400);
    BOOST_TEST(status("POST", "/v1/units/web/desired", R"({"desired":"loaded","x":1})") == 400);
    BOOST_TEST(status("POST", "/v1/units/web/desired", "") == 400);
    BOOST_TEST(status("PUT", "/v1/units/web", "{}") == 400);
    BOOST_TEST(status("PUT", "/v1/units/web", "[1") == 400);
    BOOST_TEST(status("PUT", "/v1/units/other", R"({"source":"name: web\nimage: b\n"})") == 400);
}

BOOST_AUTO_TEST_CASE(changes_from_a_revision) {
    submit(unit_text("web"), "web", std::nullopt);
    const Revision revision = registry->find("web")->revision();
    const std::string match = fmt::format("If-Match: \"{}\"", revision);
    const std::string loaded = R"({"desired":"loaded"})";
    const std::string source = R"({"source":"name: web\nimage: b\n"})";
    BOOST_TEST(call("POST", "/v1/units/web/desired", loaded, {"If-Match: \"999\""}).status == 412);
    BOOST_TEST(call("PUT", "/v1/units/web", source, {"If-Match: 999"}).status == 412);
    BOOST_TEST(call("DELETE", "/v1/units/web", "", {"If-Match: 999"}).status == 412);
    BOOST_TEST(call("DELETE", "/v1/units/web", "", {"If-Match: x"}).status == 400);
    BOOST_TEST(call("POST", "/v1/units/web/desired", loaded, {match}).status == 200);
    BOOST_TEST(call("PUT", "/v1/units/web", source, {match}).status == 412); // somebody was here
    BOOST_TEST(call("PUT", "/v1/units/web", source).status == 200);
}

BOOST_AUTO_TEST_CASE(threads_run_it_too) {
    leader->start();
    agent->start();
    submit(unit_text("web"));
    FleetClient fleet_client = client();
    wait_until_converged(fleet_client, {"web"}, 20s);
    BOOST_TEST(docker->get("fleet-web-0").state == "running");
    client().destroy("web");
    wait_until_converged(fleet_client, {"web"}, 20s);
    BOOST_TEST(docker->count() == 0U);
}

BOOST_AUTO_TEST_CASE(the_host_keeps_its_id) {
    BOOST_TEST(load_host_identity(directory.path()).id == host.id);
    base::write_durable(directory / "host-id", "short\n");
    BOOST_CHECK_THROW(load_host_identity(directory.path()), base::Error);
}

BOOST_AUTO_TEST_SUITE_END()
