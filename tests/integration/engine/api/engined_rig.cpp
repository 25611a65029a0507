#include "engined_rig.hpp"

#include <boost/test/results_collector.hpp>
#include <boost/test/unit_test.hpp>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/error.hpp"
#include "image_builder.hpp"
#include "qemu/rig.hpp"

namespace test {
namespace {

const std::string& docker_client() {
    static const std::string found = qemu::find_docker(qemu::Places::of_program());
    return found;
}

std::string unified_hierarchy() {
    for (const char* path : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"})
        if (::access((std::string(path) + "/cgroup.controllers").c_str(), F_OK) == 0)
            return path;
    throw base::Error("no cgroup2 mount");
}

void remove_cgroups(const std::string& directory) {
    std::error_code ignored;
    std::vector<std::string> found{directory};
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, ignored))
        if (entry.is_directory())
            found.push_back(entry.path().string());
    std::sort(found.rbegin(), found.rend()); // the inner ones first
    for (const std::string& path : found)
        ::rmdir(path.c_str());
}

} // namespace

EnginedRig::EnginedRig() : cgroup_(fmt::format("/atoll-api-test.{}", ::getpid())) {
    for (const char* name : {"services", "images"})
        base::make_directories(directory / name);
    make_busybox_archive();
    (void)docker_client(); // a fixture may go to a network namespace of its own
}

EnginedRig::~EnginedRig() {
    if (engined_) {
        engined_.kill(SIGTERM);
        if (!engined_.wait_for(std::chrono::seconds(60)))
            BOOST_ERROR("engined did not stop");
    }
    try {
        remove_cgroups(unified_hierarchy() + cgroup_);
    } catch (const std::exception& error) {
        BOOST_TEST_MESSAGE(error.what());
    }
    if (boost::unit_test::results_collector.results(boost::unit_test::framework::current_test_case().p_id)
            .p_assertions_failed > 0)
        BOOST_TEST_MESSAGE(log());
}

void EnginedRig::make_busybox_archive() const {
    TarBuilder layer;
    layer.directory("bin").directory("etc").directory("tmp").directory("data");
    layer.file("bin/busybox", base::read_file("/bin/busybox"), 0755);
    for (const char* name :
         {"cat", "date", "echo", "env", "false", "head", "id",   "kill",  "ls",   "mkdir", "mount", "printf",
          "ps",  "pwd",  "rm",   "sh",  "sleep", "stat", "test", "touch", "true", "tty",   "wc"})
        layer.symlink(std::string("bin/") + name, "busybox");
    layer.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/:/bin/sh\n");
    layer.file("data/from-image", "image\n");
    const std::string tar = layer.build();
    const std::string config =
        image_config({tar}, R"("config":{"Cmd":["sh"],"Env":["PATH=/bin"],"Volumes":{"/data":{}}},)");
    base::write_durable(busybox_archive(), docker_archive(config, {tar}, {"busybox:1", "busybox:latest"}));
}

void EnginedRig::add_service(const std::string& name, const std::string& yaml) const {
    base::write_durable(directory / ("services/" + name + ".yaml"), yaml);
}

void EnginedRig::start() {
    const std::string programs = PROGRAMS;
    if (!host_config.empty())
        base::write_durable(directory / "host.yaml", host_config);
    const std::vector<std::string> engined = {programs + "/engined",
                                              "--state-dir",
                                              directory / "state",
                                              "--run-dir",
                                              directory / "run",
                                              "--docker-socket",
                                              directory / "docker.sock",
                                              "--engine-socket",
                                              directory / "engine.sock",
                                              "--services-dir",
                                              directory / "services",
                                              "--images-dir",
                                              directory / "images",
                                              "--runtime",
                                              programs + "/ocirun",
                                              "--monitor",
                                              programs + "/engine-monitor",
                                              "--cgroup-parent",
                                              cgroup_,
                                              "--config-drive",
                                              directory / "no-drive",
                                              "--host-config",
                                              host_config.empty() ? "" : directory / "host.yaml"};
    // TLS is tested over the loopback that the clients have: a network of its own only without it.
    std::vector<std::string> command = {"unshare", "--mount", "--uts", "--propagation", "private"};
    if (host_config.empty())
        command.push_back("--net");
    command.push_back("--");
    command.insert(command.end(), engined.begin(), engined.end());
    const base::UniqueFd log_file = base::open_file(directory / "engined.log", O_WRONLY | O_CREAT | O_APPEND, 0600);
    base::SpawnOptions options;
    options.stdout_fd = log_file.get();
    options.stderr_fd = log_file.get();
    engined_ = base::Child::spawn(command, options);
    wait_until("engined answers", [&] {
        try {
            return request("GET", "/_ping").status == 200;
        } catch (const base::Error&) {
            BOOST_REQUIRE_MESSAGE(!engined_.wait_for(std::chrono::milliseconds(0)), "engined ended: " + log());
            return false;
        }
    });
}

void EnginedRig::kill() {
    engined_.kill(SIGKILL);
    engined_.wait();
    engined_ = {};
}

base::RunResult EnginedRig::docker(std::vector<std::string> arguments, const std::string& input) const {
    arguments.insert(arguments.begin(), docker_client());
    base::RunOptions options;
    options.spawn.environment = {"DOCKER_HOST=unix://" + (directory / "docker.sock"),
                                 "DOCKER_CONFIG=" + (directory / "docker"), "PATH=" + std::string(::getenv("PATH"))};
    options.spawn.inherit_environment = false;
    options.input = input;
    options.timeout = std::chrono::minutes(3);
    return base::run(arguments, options);
}

std::string EnginedRig::docker_ok(std::vector<std::string> arguments, const std::string& input) const {
    const std::string shown = fmt::format("docker {}", fmt::join(arguments, " "));
    base::RunResult result = docker(std::move(arguments), input);
    BOOST_REQUIRE_MESSAGE(result.status.success(), shown << ": " << result.status.describe() << ": " << result.errors);
    if (result.output.ends_with('\n'))
        result.output.pop_back();
    return result.output;
}

base::http::ClientResponse EnginedRig::request(const std::string& method, const std::string& target,
                                               const std::string& body, bool root_socket) const {
    base::http::ClientRequest request;
    request.method = method;
    request.target = target;
    request.body = body;
    return base::http::Client("unix:" + directory / (root_socket ? "engine.sock" : "docker.sock")).send(request);
}

void EnginedRig::wait_until(const std::string& what, const std::function<bool()>& is_so) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!is_so()) {
        BOOST_REQUIRE_MESSAGE(std::chrono::steady_clock::now() < deadline, "waited in vain: " << what);
        ::poll(nullptr, 0, 20);
    }
}

} // namespace test
