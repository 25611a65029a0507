// engined goes, the containers stay.
#include <signal.h>

#include <boost/test/unit_test.hpp>

#include "base/http/client.hpp"
#include "base/json.hpp"
#include "base/process.hpp"
#include "engine_rig.hpp"

using namespace engine_test;
using engine::Status;

namespace {
constexpr const char* ticking = "i=0; while :; do echo tick $i; i=$((i+1)); sleep 0.1; done";

/// The program, over a rig's directories.
class Engined {
public:
    explicit Engined(EngineRig& rig) : rig_(rig), client_("unix:" + rig.directory() / "root.sock") { start(); }
    ~Engined() { child_.kill(SIGKILL); }

    void start() {
        const auto& o = rig_.options();
        child_ = base::Child::spawn({std::string(PROGRAMS) + "/engined",
                                     "--state-dir",
                                     o.state_directory,
                                     "--run-dir",
                                     o.run_directory,
                                     "--docker-socket",
                                     rig_.directory() / "docker.sock",
                                     "--engine-socket",
                                     rig_.directory() / "root.sock",
                                     "--services-dir",
                                     o.services_directory,
                                     "--images-dir",
                                     o.images_directory,
                                     "--runtime",
                                     o.runtime,
                                     "--monitor",
                                     o.monitor,
                                     "--cgroup-parent",
                                     o.cgroup_parent,
                                     "--host-config",
                                     ""});
        EngineRig::wait_until("engined answers", [&] {
            try {
                return client_.get("/_ping").ok();
            } catch (const base::Error&) {
                return false;
            }
        });
    }
    base::ExitStatus end(int signal) {
        child_.kill(signal);
        return child_.wait();
    }
    base::json::value get(const std::string& target) { return base::parse_json(client_.get(target).body, target); }
    base::http::ClientResponse post(const std::string& target, const std::string& body = {}) {
        return client_.post(target, body);
    }

private:
    EngineRig& rig_;
    base::http::Client client_;
    base::Child child_;
};

std::string status_of(Engined& engined, const std::string& name) {
    return std::string(engined.get("/containers/" + name + "/json").at_pointer("/State/Status").as_string());
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(recovery, EngineRig)

BOOST_AUTO_TEST_CASE(killing_engined_stops_nothing) {
    Engined engined(*this);
    const std::string body = R"({"Image":"busybox:1","Cmd":["sh","-c",")" + std::string(ticking) +
                             R"("],"HostConfig":{"NetworkMode":"none"}})";
    BOOST_REQUIRE(engined.post("/containers/create?name=tick", body).ok());
    BOOST_REQUIRE(engined.post("/containers/tick/start").ok());
    BOOST_REQUIRE(
        engined
            .post(
                "/containers/create?name=short",
                R"({"Image":"busybox:1","Cmd":["sh","-c","sleep 1; echo done; exit 6"],"HostConfig":{"NetworkMode":"none"}})")
            .ok());
    BOOST_REQUIRE(engined.post("/containers/short/start").ok());
    const auto pid = engined.get("/containers/tick/json").at_pointer("/State/Pid").as_int64();
    const std::string log = std::string(engined.get("/containers/tick/json").at("LogPath").as_string());

    BOOST_TEST(engined.end(SIGKILL).signal == SIGKILL);
    const auto size = base::read_file(log).size();
    wait_until("the log grows without engined", [&] { return base::read_file(log).size() > size + 500; });

    engined.start();
    BOOST_TEST(status_of(engined, "tick") == "running");
    BOOST_TEST(engined.get("/containers/tick/json").at_pointer("/State/Pid").as_int64() == pid);
    wait_until("the one that ended is known", [&] { return status_of(engined, "short") == "exited"; });
    BOOST_TEST(engined.get("/containers/short/json").at_pointer("/State/ExitCode").as_int64() == 6);
    BOOST_TEST(engined.post("/containers/tick/stop?t=0").status == 204);
    BOOST_TEST(status_of(engined, "tick") == "exited");
    BOOST_TEST(::kill(static_cast<pid_t>(pid), 0) < 0);

    BOOST_REQUIRE(engined.post("/containers/tick/start").ok());
    BOOST_TEST(engined.end(SIGUSR2).success()); // leaves them
    engined.start();
    BOOST_TEST(status_of(engined, "tick") == "running");
    const auto again = engined.get("/containers/tick/json").at_pointer("/State/Pid").as_int64();
    BOOST_TEST(engined.end(SIGTERM).success()); // stops them
    BOOST_TEST(::kill(static_cast<pid_t>(again), 0) < 0);
}

BOOST_AUTO_TEST_CASE(a_running_container_is_found_again) {
    start();
    auto config = shell(ticking);
    config.restart.kind = engine::RestartPolicy::Kind::always;
    const std::string id = run("tick", config);
    const pid_t pid = (*this)->get(id).state.pid;
    drop();
    start();
    BOOST_TEST((*this)->get("tick").state.pid == pid);
    auto waiter = (*this)->wait(id, engine::WaitCondition::next_exit);
    ::kill(pid, SIGKILL);
    BOOST_TEST(waiter.wait_for(long_enough).has_value()); // its end is heard of as before
    wait_until("it is restarted", [&] { return (*this)->get(id).state.running(); });
}

BOOST_AUTO_TEST_CASE(what_ended_meanwhile_is_treated_by_its_policy) {
    start();
    const std::string once = run("once", shell("sleep 0.5; exit 6"));
    auto config = shell("echo run; sleep 0.5");
    config.restart.kind = engine::RestartPolicy::Kind::always;
    const std::string always = run("always", config);
    const std::string log = (*this)->get(always).log_path;
    const pid_t monitors[] = {monitor_of(once), monitor_of(always)};
    drop();
    for (const pid_t monitor : monitors)
        wait_until("the monitor has ended", [&] {
            const auto stat = base::read_file_if_exists("/proc/" + std::to_string(monitor) + "/stat");
            return !stat || stat->find(") Z") != std::string::npos;
        });
    start();
    wait_until("it is known to have ended", [&] { return (*this)->get(once).state.status == Status::exited; });
    BOOST_TEST((*this)->get(once).state.exit_code == 6);
    wait_until("the other runs again", [&] { return log_of(always).size() > 4; });
}

BOOST_AUTO_TEST_CASE(a_monitor_killed_while_engined_was_away) {
    start();
    const std::string id = run("lone", shell(ticking));
    const pid_t pid = (*this)->get(id).state.pid, monitor = monitor_of(id);
    drop();
    ::kill(monitor, SIGKILL);
    start();
    wait_until("it is known to have ended", [&] { return (*this)->get(id).state.status == Status::exited; });
    wait_until("its process is gone", [&] { return ::kill(pid, 0) < 0; });
    (*this)->start_container(id, user); // and nothing is in the way of the next start
    BOOST_TEST((*this)->get(id).state.running());
}

BOOST_AUTO_TEST_CASE(after_a_reboot_the_policies_decide) {
    start();
    using Kind = engine::RestartPolicy::Kind;
    const auto with = [&](const std::string& name, Kind kind) {
        auto config = shell("while :; do sleep 1; done");
        config.restart.kind = kind;
        return run(name, config);
    };
    const std::string plain = with("plain", Kind::no), always = with("always", Kind::always),
                      unless = with("unless", Kind::unless_stopped), stopped = with("stopped", Kind::unless_stopped);
    (*this)->stop(stopped, 0, user);
    const std::string created = (*this)->create("created", shell("true"), user);
    drop();
    reboot();
    start();
    wait_until("both run",
               [&] { return (*this)->get(always).state.running() && (*this)->get(unless).state.running(); });
    BOOST_TEST(((*this)->get(plain).state.status == Status::exited));
    BOOST_TEST((*this)->get(plain).state.exit_code == 255);
    BOOST_TEST(((*this)->get(stopped).state.status == Status::exited));
    BOOST_TEST(((*this)->get(created).state.status == Status::created));
}

BOOST_AUTO_TEST_CASE(two_engines_do_not_share_a_directory) {
    start();
    engine::LocalImageStore images(directory() / "other-images");
    engine::Engine second(options(), images, networks());
    BOOST_CHECK_THROW(second.start(), base::Error);
}

BOOST_AUTO_TEST_CASE(what_a_crash_left_half_made_is_removed) {
    base::make_directories(options().state_directory + "/containers/0123");
    base::make_directories(options().run_directory + "/containers/4567/rootfs");
    base::make_directories(options().state_directory + "/containers/89ab");
    base::write_durable(options().state_directory + "/containers/89ab/config.json", "{broken");
    start();
    BOOST_TEST((*this)->list().empty());
    BOOST_TEST(::access((options().state_directory + "/containers/0123").c_str(), F_OK) != 0);
    BOOST_TEST(::access((options().run_directory + "/containers/4567").c_str(), F_OK) != 0);
    // What cannot be read may be another release's: it stays.
    BOOST_TEST(::access((options().state_directory + "/containers/89ab").c_str(), F_OK) == 0);
}

BOOST_AUTO_TEST_SUITE_END()
