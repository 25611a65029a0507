// qemu/up --check: the main jobs, proven from outside as far as there is an interface outside.
#include <cstdio>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/http/client.hpp"
#include "qemu/rig.hpp"
#include "steps.hpp"
#include "up.hpp"

namespace qemu {
namespace {

constexpr std::uint16_t web_port = 8080;

void expect(bool condition, const std::string& problem) {
    if (!condition)
        throw base::Error(problem);
}

void check_containers(Rig& rig) {
    const std::string system =
        rig.docker_checked({"ps", "--filter", "label=atoll.system", "--format", "{{.Label \"atoll.system\"}}"});
    for (const char* service : {"updater", "fleet", "network", "echo"})
        expect(system.find(service) != std::string::npos,
               fmt::format("no system container {} in:\n{}", service, system));
    const std::string mine = rig.docker_checked({"ps", "-a", "--format", "{{.Names}}"});
    expect(mine.empty(), "a plain `docker ps -a` shows " + mine);
    const std::string id = rig.docker_checked({"ps", "-q", "--filter", "label=atoll.system=updater"});
    expect(!rig.docker({"rm", "-f", id}).status.success(), "`docker rm -f` removed the updater");
    expect(rig.docker_checked({"ps", "-q", "--filter", "label=atoll.system=updater"}) == id, "the updater is gone");
}

void check_container(Rig& rig, const Images& images) {
    rig.docker_checked({"load", "-i", images.container_image()});
    const base::RunResult result =
        rig.docker({"run", "--rm", "busybox:1", "sh", "-c", "echo out; echo err >&2; exit 7"});
    expect(result.output == "out\n" && result.errors == "err\n" && result.status.code == 7,
           fmt::format("docker run --rm: {}: '{}' '{}'", result.status.describe(), result.output, result.errors));
    rig.docker_checked({"run", "-d", "--name", "box", "busybox:1", "sh", "-c", "echo started; exec sleep 1000"});
    expect(rig.docker_checked({"inspect", "-f", "{{.State.Running}}", "box"}) == "true", "the container does not run");
    rig.docker_checked({"stop", "-t", "1", "box"});
    expect(rig.docker_checked({"logs", "box"}) == "started", "its log is not there");
    rig.docker_checked({"rm", "box"});
}

/// The unit answers on the port that QEMU forwards.
void wait_for_unit(Rig& rig) {
    rig.machine().run_until("fleetctl list-units | grep -q web", Seconds(60));
    rig.machine().run_until("wget -q -O - http://127.0.0.1:8080/ | grep -q 'It works'", Seconds(90));
    const std::string ps =
        rig.docker_checked({"ps", "--filter", "label=atoll.fleet.unit=web", "--format", "{{.Names}}"});
    expect(!ps.empty(), "no container has the unit's label");
}

void start_unit(Rig& rig, const Places& places) {
    rig.fleetctl({"submit", places.source + "/qemu/guest/web.yaml"});
    rig.fleetctl({"start", "web"});
    wait_for_unit(rig);
    base::http::Client client(fmt::format("http://127.0.0.1:{}", rig.machine().port(web_port)));
    const std::string page = client.get("/").body;
    expect(page == "It works.\n", "from outside the unit answered: " + page);
}

void check_upgrade(Rig& rig) {
    rig.machine().run_checked("updatectl upgrade", Seconds(300));
    rig.reboot();
    expect(rig.version() == "2.0", "after the upgrade release " + rig.version() + " runs");
    wait_for_unit(rig);
}

void check_rollback(Rig& rig) {
    rig.machine().run_checked("updatectl rollback", Seconds(120));
    rig.reboot();
    expect(rig.version() == "1.0", "after the rollback release " + rig.version() + " runs");
    wait_for_unit(rig);
}

void check_fallback(Rig& rig, const Images& images, const std::string& repository) {
    images.offer_anew(repository); // the tests may have offered the second release anew since this one was made
    rig.publish(repository);
    rig.machine().run_checked("updatectl upgrade", Seconds(300));
    rig.machine().post("initctl reboot");
    rig.wait_fallback("1.0", Seconds(600));
    const std::string status = rig.machine().run_checked("updatectl status");
    expect(status.find("3.0-broken-service") != std::string::npos && status.find("unhealthy") != std::string::npos,
           "updatectl status does not say which release failed and why:\n" + status);
    wait_for_unit(rig);
}

} // namespace

int check(const Places& places, const UpOptions& options) {
    Steps steps;
    Images images(places);
    std::string broken;
    steps.run("make the images (two releases and a broken one)", [&] {
        images.make();
        broken = images.make_release("broken-service");
    });
    RigOptions rig_options;
    rig_options.name = "check";
    rig_options.directory = places.out + "/vm/check";
    rig_options.disk = images.disk();
    rig_options.repository = images.repository();
    rig_options.firmware = options.bios ? Firmware::bios : Firmware::uefi;
    rig_options.cpus = 2;
    rig_options.more_ports = {web_port};
    Rig rig(places, rig_options);
    try {
        rig.machine().create();
        rig.machine().start();
        steps.run("boot: a command runs inside", [&] { rig.machine().wait_shell(Seconds(300)); });
        steps.run("every required service healthy, the release good", [&] { rig.wait_good(Seconds(300)); });
        steps.run("the machine's own containers, seen and safe", [&] { check_containers(rig); });
        steps.run("a container: load, run, exit code, logs, stop, rm", [&] { check_container(rig, images); });
        steps.run("a fleet unit: submitted, started, answers", [&] { start_unit(rig, places); });
        steps.run("upgrade to release 2.0, the unit runs again", [&] { check_upgrade(rig); });
        steps.run("rollback to release 1.0, the unit runs again", [&] { check_rollback(rig); });
        steps.run("a broken release falls back by itself, with a receipt", [&] { check_fallback(rig, images, broken); });
    } catch (const std::exception&) {
        if (rig.machine().running())
            rig.machine().collect_logs();
        fmt::print("logs: {} and the guest's beside it\n", rig.machine().console().path());
        std::fflush(stdout);
        throw;
    }
    fmt::print("everything holds\n");
    return 0;
}

} // namespace qemu
