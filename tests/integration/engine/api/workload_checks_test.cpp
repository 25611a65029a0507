// What updater-worker asks engined of the workloads that host.yaml names: a real engined, real containers.
#include <boost/test/unit_test.hpp>

#include <unistd.h>

#include <csignal>
#include <map>

#include "base/error.hpp"
#include "base/json.hpp"
#include "engined_rig.hpp"

using test::EnginedRig;

namespace {

struct Workload : EnginedRig {
    Workload() {
        start();
        docker_ok({"load", "-i", busybox_archive()});
        base::make_directories(root + "/etc/atoll");
        base::make_directories(root + "/run/atoll");
        base::check(::symlink((directory / "engine.sock").c_str(), (root + "/run/atoll/engine.sock").c_str()),
                    "symlink");
        base::write_durable(root + "/etc/atoll/host.yaml",
                            "health:\n"
                            "  - {name: by-name, container: web}\n"
                            "  - {name: by-label, label: app=shop, at_least: 2}\n"
                            "  - {name: by-check, check_container: smoke, timeout: 30s}\n");
    }
    void run_detached(const std::string& name, const std::string& label) const {
        docker_ok({"run", "-d", "--network", "none", "--name", name, "--label", label, "busybox", "sleep", "100000"});
    }
    void make_check(const std::string& script) const {
        docker({"rm", "-f", "smoke"});
        docker_ok({"create", "--network", "none", "--name", "smoke", "busybox", "sh", "-c", script});
    }
    /// One round: outcome by name, and what it says.
    std::map<std::string, std::string> round() const {
        const std::string said = directory / "said";
        const base::UniqueFd output = base::open_file(said, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        base::SpawnOptions options;
        options.stdout_fd = output.get();
        base::Child worker =
            base::Child::spawn({std::string(PROGRAMS) + "/updater-worker", "--root", root, "watch-checks"}, options);
        wait_until("the checks ran", [&] { return base::read_file(said).find('\n') != std::string::npos; });
        worker.kill(SIGKILL);
        worker.wait();
        const std::string text = base::read_file(said);
        const base::json::value document = base::parse_json(text.substr(0, text.find('\n')), "round");
        std::map<std::string, std::string> outcomes;
        for (const base::json::value& item : base::JsonObject(document, "round").array("checks")) {
            const base::JsonObject check(item, "check");
            outcomes[check.string("name")] = check.string("outcome");
            outcomes[check.string("name") + " says"] = check.string("detail");
        }
        return outcomes;
    }
    std::string root = directory / "host";
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(workload_checks, Workload)

BOOST_AUTO_TEST_CASE(containers_by_name_by_label_and_check_containers) {
    run_detached("web", "app=web");
    run_detached("shop-1", "app=shop");
    run_detached("shop-2", "app=shop");
    make_check("true");
    auto outcomes = round();
    for (const char* name : {"by-name", "by-label", "by-check"})
        BOOST_TEST(outcomes[name] == "passed", name << ": " << outcomes[std::string(name) + " says"]);

    docker_ok({"kill", "web"});
    docker_ok({"rm", "-f", "shop-2"});
    make_check("exit 3");
    outcomes = round();
    for (const char* name : {"by-name", "by-label", "by-check"})
        BOOST_TEST(outcomes[name] == "failed", name << ": " << outcomes[std::string(name) + " says"]);
    BOOST_TEST(outcomes["by-name says"].find("web is exited") != std::string::npos, outcomes["by-name says"]);
    BOOST_TEST(outcomes["by-check says"] == "exit code 3");

    docker_ok({"rm", "web", "smoke"});
    outcomes = round();
    BOOST_TEST(outcomes["by-name"] == "failed");
    BOOST_TEST(outcomes["by-check says"] == "no container smoke");

    // A store or an engine that is away is not the release's fault.
    make_check("exit 75");
    BOOST_TEST(round()["by-check"] == "unknown");
    kill();
    BOOST_TEST(round()["by-name"] == "unknown");
    start(); // its containers are stopped with it
}

BOOST_AUTO_TEST_SUITE_END()
