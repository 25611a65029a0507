// An unmodified docker client against engined.
#include <boost/test/unit_test.hpp>

#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "engined_rig.hpp"

using test::EnginedRig;

namespace {

namespace fs = std::filesystem;

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

struct Loaded : EnginedRig {
    Loaded() {
        start();
        docker_ok({"load", "-i", busybox_archive()});
    }
    std::string run(std::vector<std::string> arguments, const std::string& input = {}) const {
        arguments.insert(arguments.begin(), {"run", "--rm", "--network", "none"});
        return docker_ok(std::move(arguments), input);
    }
    std::string run_detached(const std::string& name, const std::string& script) const {
        return docker_ok({"run", "-d", "--network", "none", "--name", name, "busybox", "sh", "-c", script});
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(docker_client, Loaded)

BOOST_AUTO_TEST_CASE(version_and_info) {
    BOOST_TEST(docker_ok({"version", "--format", "{{.Server.MinAPIVersion}} {{.Server.Os}}"}) == "1.24 linux");
    BOOST_TEST(docker_ok({"info", "--format", "{{.Images}} {{.DefaultRuntime}}"}) == "1 ocirun");
}

BOOST_AUTO_TEST_CASE(a_foreground_container_gives_its_output_and_exit_code) {
    const base::RunResult result =
        docker({"run", "--rm", "--network", "none", "busybox:1", "sh", "-c", "echo out; echo err >&2; exit 42"});
    BOOST_TEST(result.output == "out\n");
    BOOST_TEST(result.errors == "err\n");
    BOOST_TEST(result.status.code == 42);
    BOOST_TEST(docker_ok({"ps", "-aq"}).empty());
    BOOST_TEST(run({"-i", "busybox", "cat"}, "through\n") == "through");
    BOOST_TEST(run({"-t", "busybox", "tty"}) == "/dev/pts/0\r");
    const std::string large(1'000'000, 'x');
    BOOST_TEST(run({"-i", "busybox", "wc", "-c"}, large) == "1000000");
    BOOST_TEST((run({"busybox", "head", "-c", "1000000", "/dev/zero"}) == std::string(1'000'000, '\0')));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_run_has_dockers_exit_codes) {
    BOOST_TEST(docker({"run", "--rm", "--network", "none", "busybox", "no-such-program"}).status.code == 127);
    BOOST_TEST(docker({"run", "--rm", "--network", "none", "busybox", "/etc"}).status.code == 126);
    const base::RunResult missing = docker({"run", "--rm", "no-such-image"});
    BOOST_TEST(missing.status.code == 125);
    BOOST_TEST(contains(missing.errors, "Unable to find image 'no-such-image:latest' locally"));
}

BOOST_AUTO_TEST_CASE(a_detached_container_lives_its_life) {
    const std::string id =
        run_detached("web", "trap 'echo bye; exit 7' TERM; echo one; echo two >&2; while :; do sleep 0.05; done");
    BOOST_TEST(id.size() == 64U);
    BOOST_TEST(docker_ok({"ps", "--format", "{{.Names}} {{.Image}} {{.State}}"}) == "web busybox running");
    wait_until("it wrote", [&] { return contains(docker({"logs", "web"}).errors, "two"); });
    BOOST_TEST(docker({"logs", "web"}).output == "one\n");
    BOOST_TEST(docker_ok({"inspect", "-f", "{{.State.Status}} {{.Name}} {{.Config.Image}}", "web"}) ==
               "running /web busybox");
    BOOST_TEST(docker_ok({"inspect", "-f", "{{.Id}}", id.substr(0, 8)}) == id);
    BOOST_TEST(docker_ok({"stop", "web"}) == "web");
    BOOST_TEST(docker_ok({"wait", "web"}) == "7");
    BOOST_TEST(docker_ok({"logs", "--tail", "1", "web"}) == "bye");
    BOOST_TEST(docker_ok({"ps", "-q"}).empty());
    BOOST_TEST(contains(docker_ok({"ps", "-a", "--format", "{{.Status}}"}), "Exited (7)"));
    BOOST_TEST(docker_ok({"start", "web"}) == "web");
    BOOST_TEST(contains(docker({"rm", "web"}).errors, "container is running"));
    BOOST_TEST(docker_ok({"kill", "web"}) == "web");
    BOOST_TEST(docker_ok({"wait", "web"}) == "137");
    BOOST_TEST(docker_ok({"rm", "web"}) == "web");
    BOOST_TEST(contains(docker({"inspect", "web"}).errors, "No such object: web"));
}

BOOST_AUTO_TEST_CASE(logs_follow_until_the_container_ends) {
    run_detached("talk", "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done");
    BOOST_TEST(docker_ok({"logs", "-f", "talk"}) == "1\n2\n3\n4\n5");
    BOOST_TEST(docker_ok({"logs", "--tail", "2", "talk"}) == "4\n5");
    const std::string stamped = docker_ok({"logs", "-t", "--tail", "1", "talk"});
    BOOST_TEST(stamped.ends_with("Z 5"));
    BOOST_TEST(docker_ok({"logs", "--since", stamped.substr(0, stamped.find(' ')), "talk"}) == "5");
    BOOST_TEST(docker_ok({"logs", "--since", "2100-01-01T00:00:00Z", "talk"}).empty());
}

BOOST_AUTO_TEST_CASE(commands_run_inside) {
    run_detached("inside", "sleep 1000");
    BOOST_TEST(docker_ok({"exec", "-u", "web", "-w", "/tmp", "-e", "A=b", "inside", "sh", "-c",
                          "id -u; pwd; echo $A"}) == "33\n/tmp\nb");
    BOOST_TEST(docker_ok({"exec", "-i", "inside", "cat"}, "typed") == "typed");
    for (int i = 0; i < 20; ++i) // it asks for the code as soon as the output has ended
        BOOST_TEST(docker({"exec", "inside", "sh", "-c", "exit 9"}).status.code == 9);
    BOOST_TEST(docker({"exec", "inside", "no-such-program"}).status.code == 127);
    docker_ok({"exec", "-d", "inside", "touch", "/tmp/done"});
    wait_until("it ran", [&] { return docker({"exec", "inside", "test", "-e", "/tmp/done"}).status.success(); });
    BOOST_TEST(contains(docker_ok({"top", "inside"}), "sleep 1000"));
    docker_ok({"kill", "inside"});
    BOOST_TEST(contains(docker({"exec", "inside", "true"}).errors, "is not running"));
}

BOOST_AUTO_TEST_CASE(an_attached_client_sees_and_says) {
    docker_ok({"run", "-d", "-i", "--network", "none", "--name", "echo", "busybox", "sh", "-c",
               "read line; echo got $line; read line; exit 3"});
    const base::RunResult result = docker({"attach", "echo"}, "hello\nbye\n");
    BOOST_TEST(result.output == "got hello\n");
    BOOST_TEST(result.status.code == 3);
}

BOOST_AUTO_TEST_CASE(containers_outlive_engined) {
    const std::string id = run_detached("survivor", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done");
    const std::string pid = docker_ok({"inspect", "-f", "{{.State.Pid}}", "survivor"});
    kill();
    start();
    BOOST_TEST(docker_ok({"inspect", "-f", "{{.State.Pid}}", "survivor"}) == pid);
    const std::string before = docker_ok({"logs", "--tail", "1", "survivor"});
    wait_until("it goes on", [&] { return docker_ok({"logs", "--tail", "1", "survivor"}) != before; });
    BOOST_TEST(docker_ok({"exec", "survivor", "echo", "here"}) == "here");
    docker_ok({"stop", "-t", "0", "survivor"});
    BOOST_TEST(docker_ok({"wait", "survivor"}) == "137");
}

BOOST_AUTO_TEST_CASE(images_are_tagged_and_removed) {
    docker_ok({"tag", "busybox:1", "registry.example:5000/a/b:c"});
    BOOST_TEST(docker_ok({"images", "--format", "{{.Repository}}:{{.Tag}}", "registry.example:5000/a/b"}) ==
               "registry.example:5000/a/b:c");
    BOOST_TEST(docker_ok({"rmi", "registry.example:5000/a/b:c"}) == "Untagged: registry.example:5000/a/b:c");
    BOOST_TEST(docker_ok({"image", "inspect", "-f", "{{.Architecture}}", "busybox"}) == "amd64");
    run_detached("user", "sleep 1000");
    docker_ok({"rmi", "busybox:1"});
    BOOST_TEST(contains(docker({"rmi", "busybox"}).errors, "is using its referenced image"));
    const std::string id = docker_ok({"images", "-q"});
    BOOST_TEST(contains(docker({"rmi", "-f", id}).errors, "cannot be forced"));
    docker_ok({"rm", "-f", "user"});
    BOOST_TEST(contains(docker_ok({"rmi", "busybox"}), "Deleted: sha256:"));
    BOOST_TEST(docker_ok({"images", "-q"}).empty());
    BOOST_TEST(contains(docker({"load"}, "this is no archive").errors, "image archive"));
}

BOOST_AUTO_TEST_CASE(files_are_copied_in_and_out_and_nowhere_else) {
    const std::string outside = directory / "outside";
    base::make_directories(outside);
    base::make_directories(directory / "in/deep");
    base::write_durable(directory / "in/deep/file", "content");
    run_detached("box", "mkdir /dir; sleep 1000");
    wait_until("it made the directory", [&] { return docker({"exec", "box", "test", "-d", "/dir"}).status.success(); });
    docker_ok({"cp", directory / "in", "box:/dir/"});
    BOOST_TEST(docker_ok({"exec", "box", "cat", "/dir/in/deep/file"}) == "content");
    docker_ok({"cp", "box:/dir/in/deep/file", directory / "back"});
    BOOST_TEST(base::read_file(directory / "back") == "content");
    docker_ok({"exec", "box", "sh", "-c", "busybox ln -s " + outside + " /dir/way; busybox ln -s ../../../.. /dir/up"});
    BOOST_TEST(!docker({"cp", directory / "back", "box:/dir/way/"}).status.success());
    docker_ok({"cp", directory / "back", "box:/dir/up/"});
    BOOST_TEST(docker_ok({"exec", "box", "cat", "/back"}) == "content");
    BOOST_TEST(std::filesystem::is_empty(outside));
    BOOST_TEST(contains(docker_ok({"diff", "box"}), "A /dir/in/deep/file"));
    docker_ok({"rm", "-f", "box"});
}

BOOST_AUTO_TEST_CASE(volumes_keep_and_mounts_show) {
    BOOST_TEST(run({"-v", "kept:/data", "busybox", "cat", "/data/from-image"}) == "image");
    run({"-v", "kept:/data", "busybox", "sh", "-c", "echo mine > /data/own"});
    BOOST_TEST(run({"-v", "kept:/data:ro", "busybox", "cat", "/data/own"}) == "mine");
    BOOST_TEST(!docker({"run", "--rm", "--network", "none", "-v", "kept:/data:ro", "busybox", "touch", "/data/x"})
                    .status.success());
    run({"busybox", "true"}); // the image's own volume, anonymous
    wait_until("anonymous volumes of --rm are gone", [&] { return docker_ok({"volume", "ls", "-q"}) == "kept"; });
    BOOST_TEST(docker_ok({"volume", "rm", "kept"}) == "kept");
    base::write_durable(directory / "host-file", "from the host");
    BOOST_TEST(run({"-v", directory / "host-file" + ":/f:ro", "busybox", "cat", "/f"}) == "from the host");
    BOOST_TEST(contains(docker({"run", "--rm", "--mount", "type=bind,src=/no/such,dst=/x", "busybox", "true"}).errors,
                        "bind source path does not exist"));
    BOOST_TEST(contains(run({"--tmpfs", "/t:size=64k", "busybox", "mount"}), "tmpfs on /t "));
}

BOOST_AUTO_TEST_CASE(events_tell_the_story) {
    const std::string since = std::to_string(std::time(nullptr));
    docker_ok({"create", "--network", "none", "--name", "hero", "busybox", "sh", "-c", "exit 5"});
    docker({"start", "-a", "hero"});
    docker_ok({"rm", "hero"});
    const std::string events = docker_ok({"events", "--since", since, "--until", std::to_string(std::time(nullptr) + 1),
                                          "--filter", "container=hero", "--format", "{{.Action}}"});
    BOOST_TEST(contains(events, "create"));
    BOOST_TEST(contains(events, "start\ndie\n"));
    BOOST_TEST(events.ends_with("destroy"));
    const std::string codes = docker_ok({"events", "--since", since, "--until", std::to_string(std::time(nullptr) + 1),
                                         "--filter", "event=die", "--format", "{{.Actor.Attributes.exitCode}}"});
    BOOST_TEST(codes == "5");
}

BOOST_AUTO_TEST_CASE(paused_containers_stand_still) {
    run_detached("clock", "while :; do echo tick; sleep 0.02; done");
    docker_ok({"pause", "clock"});
    BOOST_TEST(docker_ok({"inspect", "-f", "{{.State.Status}}", "clock"}) == "paused");
    BOOST_TEST(contains(docker({"exec", "clock", "true"}).errors, "paused"));
    docker_ok({"unpause", "clock"});
    docker_ok({"rename", "clock", "watch"});
    docker_ok({"update", "--restart", "on-failure:3", "watch"});
    BOOST_TEST(docker_ok({"inspect", "-f", "{{.HostConfig.RestartPolicy.Name}} {{.State.Running}}", "watch"}) ==
               "on-failure true");
    docker_ok({"rm", "-f", "watch"});
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

struct WithService : EnginedRig {
    WithService() {
        std::filesystem::copy(busybox_archive(), directory / "images/busybox.tar");
        add_service(
            "guard",
            "name: guard\nimage: busybox:1\ncommand: [sh, -c, \"trap 'exit 0' TERM; while :; do sleep 0.1; done\"]\n"
            "required: true\nrestart: always\nnetwork: none\n");
        start();
        wait_until("the service runs",
                   [&] { return contains(request("GET", "/atoll/v1/health").body, "\"healthy\":true"); });
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(system_containers, WithService)

BOOST_AUTO_TEST_CASE(they_are_seen_by_those_who_ask_and_changed_by_nobody) {
    BOOST_TEST(docker_ok({"ps", "-aq"}).empty());
    const std::string id = docker_ok({"ps", "-q", "--no-trunc", "--filter", "label=atoll.system=guard"});
    BOOST_REQUIRE(id.size() == 64U);
    BOOST_TEST(docker_ok({"ps", "-q", "--no-trunc", "--filter", "label=atoll.system"}) == id);
    BOOST_TEST(docker_ok({"inspect", "-f", "{{.State.Running}}", id}) == "true");
    for (const std::vector<std::string>& command : {std::vector<std::string>{"rm", "-f", id},
                                                    {"stop", id},
                                                    {"kill", id},
                                                    {"restart", id},
                                                    {"rename", id, "other"},
                                                    {"exec", id, "true"},
                                                    {"pause", id},
                                                    {"update", "--restart", "no", id},
                                                    {"cp", busybox_archive(), id + ":/tmp/"}}) {
        const base::RunResult result = docker(command);
        BOOST_TEST(!result.status.success(), command.front());
        BOOST_TEST(contains(result.errors, "is part of the system"), command.front() + ": " + result.errors);
    }
    docker({"container", "prune", "-f"});
    BOOST_TEST(docker_ok({"inspect", "-f", "{{.State.Running}} {{.Name}}", id}) == "true /atoll.guard");
    BOOST_TEST(
        contains(docker({"run", "-d", "--label", "atoll.system=fake", "busybox", "true"}).errors, "atoll.system"));
    BOOST_TEST(request("POST", "/atoll/v1/services/guard/restart").status == 403);
}

BOOST_AUTO_TEST_CASE(the_root_socket_changes_them) {
    const auto started = [&] {
        return docker_ok({"inspect", "-f", "{{.State.StartedAt}}", "atoll.guard"});
    };
    const std::string before = started();
    BOOST_TEST(request("POST", "/atoll/v1/services/nobody/restart", "", true).status == 404);
    BOOST_TEST(request("POST", "/atoll/v1/services/guard/restart", "", true).status == 204);
    wait_until("it was started again", [&] { return started() != before; });
    BOOST_TEST(contains(request("GET", "/containers/json?all=1", "", true).body, "/atoll.guard"));
    struct stat status {};
    BOOST_REQUIRE(::stat((directory / "engine.sock").c_str(), &status) == 0);
    BOOST_TEST((status.st_mode & 0777) == 0600U);
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

/// A host that listens on TCP, and a client with a certificate.
struct WithTls : EnginedRig {
    WithTls() {
        own_network();
        authority("ca");
        sign("ca", "server");
        sign("ca", "cert"); // the names the docker client looks for: ca.pem, cert.pem, key.pem
        fs::rename(path("cert.key"), path("key.pem"));
        host_config =
            fmt::format("hostname: tls-test\nengine:\n  listen: \"{}\"\n  tls:\n    ca: {}\n    certificate: {}\n"
                        "    key: {}\n",
                        address, path("ca.pem"), path("server.pem"), path("server.key"));
        start();
    }
    /// engined and its clients have a loopback of their own: no port of it is anybody else's.
    static void own_network() {
        static const bool made = [] {
            base::check(::unshare(CLONE_NEWNET), "unshare");
            base::run_checked({"ip", "link", "set", "lo", "up"});
            return true;
        }();
        (void)made;
    }
    std::string path(const std::string& name) const { return directory / name; }
    void authority(const std::string& name) const {
        base::run_checked({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                           "-nodes", "-keyout", path(name + ".key"), "-out", path(name + ".pem"), "-days", "2", "-subj",
                           "/CN=" + name});
    }
    void sign(const std::string& by, const std::string& name) const {
        base::write_durable(path("extensions"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
        base::run_checked({"openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                           "-keyout", path(name + ".key"), "-out", path("request"), "-subj", "/CN=" + name});
        base::run_checked({"openssl", "x509", "-req", "-in", path("request"), "-CA", path(by + ".pem"), "-CAkey",
                           path(by + ".key"), "-CAcreateserial", "-out", path(name + ".pem"), "-days", "2", "-extfile",
                           path("extensions")});
    }
    /// The client as from another machine, with the certificates of a directory.
    base::RunResult remote(const std::string& certificates, std::vector<std::string> arguments,
                           const std::string& input = {}) const {
        arguments.insert(arguments.begin(),
                         {"-H", "tcp://" + address, "--tlsverify", "--tlscacert", path("ca.pem"), "--tlscert",
                          certificates + "/cert.pem", "--tlskey", certificates + "/key.pem"});
        return docker(std::move(arguments), input);
    }
    const std::string address = "127.0.0.1:2376";
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(mutual_tls, WithTls)

BOOST_AUTO_TEST_CASE(a_client_of_the_authority_does_everything) {
    const base::RunResult loaded = remote(directory.path(), {"load"}, base::read_file(busybox_archive()));
    BOOST_TEST(loaded.status.success(), loaded.errors);
    const base::RunResult ran = remote(
        directory.path(),
        {"run", "--rm", "-i", "--network", "none", "busybox", "sh", "-c", "cat; echo err >&2; exit 6"}, "typed\n");
    BOOST_TEST(ran.output == "typed\n");
    BOOST_TEST(ran.errors == "err\n");
    BOOST_TEST(ran.status.code == 6);
}

BOOST_AUTO_TEST_CASE(nobody_else_gets_in) {
    base::make_directories(path("foreign"));
    authority("foreign-ca");
    sign("foreign-ca", "mallory");
    fs::rename(path("mallory.pem"), path("foreign/cert.pem"));
    fs::rename(path("mallory.key"), path("foreign/key.pem"));
    BOOST_TEST(!remote(path("foreign"), {"version"}).status.success());
    BOOST_TEST(!docker({"-H", "tcp://" + address, "version"}).status.success());
    BOOST_TEST(!docker({"-H", "tcp://" + address, "--tls", "version"}).status.success());
    BOOST_TEST(remote(directory.path(), {"version"}).status.success());
}

BOOST_AUTO_TEST_SUITE_END()
