// The host's services as system containers.
#include <signal.h>

#include <boost/test/unit_test.hpp>

#include "engine_rig.hpp"

using namespace engine_test;
using engine::ErrorKind;

namespace {

constexpr const char* host_service = R"(
rootfs: host
command: [/bin/busybox, sh, -c, "echo up; touch /run/ok; trap 'exit 0' TERM; while :; do sleep 0.1; done"]
required: true
network: host
restart: always
health: {command: [/bin/busybox, test, -e, /run/ok], interval: 200ms, timeout: 5s}
)";

engine::ServiceStatus service(engine::Engine& engine, const std::string& name) {
    for (const auto& status : engine.services())
        if (status.name == name)
            return status;
    return {};
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(services, EngineRig)

BOOST_AUTO_TEST_CASE(they_start_in_their_order_and_are_healthy) {
    make_busybox_archive(options().images_directory + "/second.tar", "atoll/second");
    write_service("first", host_service);
    write_service("second", "image: atoll/second\ncommand: [sh, -c, 'echo up; while :; do sleep 0.1; done']\nafter: "
                            "[first]\nrequired: true\n");
    auto events = (start(), (**this).subscribe());
    wait_until("all is healthy", [&] { return (*this)->health().healthy; });
    const auto first = (*this)->get("atoll.first"), second = (*this)->get("atoll.second");
    BOOST_TEST((*first.state.started < *second.state.started));
    BOOST_TEST((first.state.health == engine::Health::healthy));
    BOOST_TEST(first.system());
    wait_until("it has written", [&] { return !log_of(second.id).empty(); }); // it is up as soon as it runs
    BOOST_TEST(log_of(second.id) == "up\n");
    BOOST_TEST(first.config->labels.at("atoll.system") == "first");
}

BOOST_AUTO_TEST_CASE(users_may_look_and_not_touch) {
    write_service("first", host_service);
    start();
    wait_until("all is healthy", [&] { return (*this)->health().healthy; });
    const auto forbidden = [](const engine::EngineError& error) {
        return error.kind() == ErrorKind::forbidden;
    };
    engine::Engine& engine = **this;
    const std::string id = engine.get("atoll.first").id;
    BOOST_CHECK_EXCEPTION(engine.stop(id, 0, user), engine::EngineError, forbidden);
    BOOST_CHECK_EXCEPTION(engine.kill(id, "KILL", user), engine::EngineError, forbidden);
    BOOST_CHECK_EXCEPTION(engine.remove(id.substr(0, 10), true, user), engine::EngineError, forbidden);
    BOOST_CHECK_EXCEPTION(engine.restart(id, 0, user), engine::EngineError, forbidden);
    BOOST_CHECK_EXCEPTION(engine.pause(id, user), engine::EngineError, forbidden);
    BOOST_CHECK_EXCEPTION(engine.rename(id, "mine", user), engine::EngineError, forbidden);
    BOOST_CHECK_EXCEPTION(engine.update(id, engine::Resources{}, std::nullopt, user), engine::EngineError, forbidden);
    BOOST_CHECK_EXCEPTION(engine.resize(id, 1, 1, user), engine::EngineError, forbidden);
    BOOST_CHECK_EXCEPTION(
        engine.create_exec(id, {.command = {"true"}, .env = {}, .working_directory = {}, .user = {}}, user),
        engine::EngineError, forbidden);
    BOOST_CHECK_EXCEPTION(engine.attach(id, {.stdin_open = true}, user), engine::EngineError, forbidden);
    BOOST_CHECK_EXCEPTION(engine.restart_service("first", user), engine::EngineError, forbidden);
    // Nor make one that looks like it.
    BOOST_CHECK_EXCEPTION(engine.create("atoll.x", shell("true"), user), engine::EngineError, forbidden);
    auto labelled = shell("true");
    labelled.labels["atoll.system"] = "x";
    BOOST_CHECK_EXCEPTION(engine.create("", labelled, user), engine::EngineError, forbidden);
    auto host = shell("true");
    host.host_rootfs = true;
    BOOST_CHECK_EXCEPTION(engine.create("", host, user), engine::EngineError, forbidden);
    BOOST_TEST(engine.get(id).state.running());
    engine.restart_service("first", root);
    wait_until("all is healthy again", [&] { return engine.health().healthy; });
}

BOOST_AUTO_TEST_CASE(a_host_root_is_read_only_and_least_privileged) {
    write_service(
        "probe",
        "rootfs: host\nrestart: no\ncommand: [/bin/busybox, sh, -c, \"touch /usr/x 2>/dev/null || echo usr-ro; "
        "touch /etc/x 2>/dev/null || echo etc-ro; touch /run/x && echo run-rw; "
        "/bin/busybox grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; "
        "/bin/busybox ls /run /var\"]\n");
    start();
    wait_until("it has ended", [&] { return service(**this, "probe").state == "exited"; });
    const std::string seen = log_of("atoll.probe");
    for (const char* text : {"usr-ro\n", "etc-ro\n", "run-rw\n", "CapEff:\t0000000000000000", "NoNewPrivs:\t1",
                             "Seccomp:\t2", "/run:\nx\n", "/var:\n"})
        BOOST_TEST(seen.find(text) != std::string::npos, seen << " lacks " << text);
}

BOOST_AUTO_TEST_CASE(one_that_dies_comes_back) {
    write_service("first", host_service);
    start();
    wait_until("all is healthy", [&] { return (*this)->health().healthy; });
    ::kill((*this)->get("atoll.first").state.pid, SIGKILL);
    wait_until("it was restarted", [&] { return service(**this, "first").restarts == 1; });
    wait_until("all is healthy again", [&] { return (*this)->health().healthy; });
}

BOOST_AUTO_TEST_CASE(a_required_one_that_fails_is_not_healthy_and_says_why) {
    write_service("bad", "rootfs: host\nrequired: true\nrestart: always\ncommand: [/no/such/program]\n");
    write_service("optional", "rootfs: host\nrestart: no\ncommand: [/bin/busybox, false]\n");
    start();
    wait_until("the failure is told",
               [&] { return service(**this, "bad").detail.find("no such file") != std::string::npos; });
    wait_until("the other has ended", [&] { return service(**this, "optional").state == "exited"; });
    BOOST_TEST(!(*this)->health().healthy);
}

BOOST_AUTO_TEST_CASE(one_that_is_not_required_does_not_count) {
    write_service("first", host_service);
    write_service("optional", "rootfs: host\nrestart: no\ncommand: [/bin/busybox, false]\n");
    start();
    wait_until("all is healthy", [&] { return (*this)->health().healthy; });
    wait_until("the other has ended", [&] { return service(**this, "optional").state == "exited"; });
    BOOST_TEST((*this)->health().healthy);
}

BOOST_AUTO_TEST_CASE(a_file_that_is_wrong_is_told_and_not_healthy) {
    write_service("first", host_service);
    base::write_durable(options().services_directory + "/wrong.yaml", "name: wrong\ncomand: [x]\n");
    start();
    wait_until("the good one runs", [&] { return service(**this, "first").health == "healthy"; });
    BOOST_TEST(!(*this)->health().healthy);
    BOOST_TEST(service(**this, "(configuration)").detail.find("comand") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(they_are_kept_when_engined_starts_again_and_renewed_when_they_changed) {
    write_service("first", host_service);
    write_service("gone", "rootfs: host\ncommand: [/bin/busybox, sleep, '1000']\n");
    start();
    wait_until("both run", [&] { return (*this)->health().healthy && service(**this, "gone").state == "running"; });
    const auto before = (*this)->get("atoll.first");
    drop();
    start();
    BOOST_TEST(service(**this, "first").state == "running"); // at once, not when its turn comes
    wait_until("all is healthy", [&] { return (*this)->health().healthy; });
    BOOST_TEST((*this)->get("atoll.first").state.pid == before.state.pid);
    drop();
    write_service("first", std::string(host_service) + "environment: {NEW: value}\n");
    ::unlink((options().services_directory + "/gone.yaml").c_str());
    start();
    wait_until("it is the new one", [&] {
        const auto now = (*this)->find("atoll.first");
        return now && now->id != before.id && now->state.running();
    });
    wait_until("the other is removed", [&] { return !(*this)->find("atoll.gone"); });
}

BOOST_AUTO_TEST_CASE(a_carried_image_that_changed_is_the_services_new_one) {
    const std::string archive = options().images_directory + "/second.tar";
    make_busybox_archive(archive, "atoll/second", "one");
    write_service(
        "second",
        "image: atoll/second\ncommand: [sh, -c, 'cat /etc/version; while :; do sleep 0.1; done']\nrequired: true\n");
    start();
    wait_until("it runs", [&] { return (*this)->health().healthy; });
    const auto before = (*this)->get("atoll.second");
    drop();
    start(); // nothing has changed
    wait_until("it runs", [&] { return (*this)->health().healthy; });
    BOOST_TEST((*this)->get("atoll.second").id == before.id);
    drop();
    make_busybox_archive(archive, "atoll/second", "two");
    start();
    wait_until("the new one runs", [&] {
        const auto now = (*this)->find("atoll.second");
        return now && now->id != before.id && now->state.running();
    });
    wait_until("it has written", [&] { return !log_of("atoll.second").empty(); });
    BOOST_TEST(log_of("atoll.second") == "two\n");
}

BOOST_AUTO_TEST_CASE(stop_all_stops_users_first_and_services_in_reverse) {
    write_service("first", host_service);
    write_service("second", std::string(host_service) + "after: [first]\n");
    start();
    wait_until("all is healthy", [&] { return (*this)->health().healthy; });
    const std::string id = run("mine", shell("trap 'exit 0' TERM; while :; do sleep 0.1; done"));
    auto events = (*this)->subscribe();
    (*this)->stop_all();
    std::string order;
    while (const auto event = events.next(0ms))
        if (event->action == "die")
            order += event->attributes.at("name") + " ";
    BOOST_TEST(order == "mine atoll.second atoll.first ");
    BOOST_CHECK_THROW((*this)->start_container(id, user), engine::EngineError);
}

BOOST_AUTO_TEST_SUITE_END()
