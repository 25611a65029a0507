#include "rig.hpp"

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <filesystem>
#include <thread>

#include "base/error.hpp"
#include "base/http/client.hpp"
#include "base/sha256.hpp"

namespace fleet_test {

using namespace std::chrono_literals;

namespace {

constexpr const char* docker_socket = "/run/atoll/docker.sock";
constexpr const char* fleet_socket = "/run/atoll/fleet.sock";

std::string program(const std::string& name) {
    return fmt::format("{}/{}", PROGRAMS, name);
}

bool answers(const std::string& socket, const std::string& path) {
    try {
        return base::http::Client(fmt::format("unix:{}", socket)).get(path).ok();
    } catch (const base::Error&) { // not yet
        return false;
    }
}

/// A docker archive with a static busybox.
void make_image(const std::string& target, const std::string& reference) {
    const base::TempDir work;
    base::make_directories(work / "root/bin");
    base::make_directories(work / "root/www");
    base::run_checked({"cp", "/bin/busybox", work / "root/bin/busybox"});
    for (const char* name : {"sh", "cat", "echo", "sleep", "true", "false", "httpd", "wget", "touch", "hostname"})
        std::filesystem::create_symlink("busybox", fmt::format("{}/root/bin/{}", work.path(), name));
    base::run_checked({"tar", "-C", work / "root", "--owner=0", "--group=0", "-cf", work / "layer.tar", "."});
    const std::string digest = base::sha256_hex(base::read_file(work / "layer.tar"));
    base::write_durable(work / "config.json",
                        fmt::format(R"({{"architecture":"amd64","os":"linux","config":{{"Cmd":["sh"],)"
                                    R"("Env":["PATH=/bin"]}},"rootfs":{{"type":"layers","diff_ids":["sha256:{}"]}}}})",
                                    digest));
    base::write_durable(
        work / "manifest.json",
        fmt::format(R"([{{"Config":"config.json","RepoTags":["{}"],"Layers":["layer.tar"]}}])", reference));
    base::run_checked({"tar", "-C", work.path(), "-cf", target, "manifest.json", "config.json", "layer.tar"});
}

void end(base::Child& child, int signal) {
    if (!child)
        return;
    child.kill(signal);
    const auto status = child.wait_for(60s);
    BOOST_TEST(status.has_value(), "a daemon does not end on signal " << signal);
    if (status && signal == SIGTERM)
        BOOST_TEST(status->success(), status->describe());
    child = base::Child();
}

} // namespace

Rig::Rig() : directory_("fleet-rig") {
    base::make_directories("/run/atoll");
    base::make_directories(directory_ / "services");
    base::make_directories(directory_ / "images");
    write("host.yaml", "{}\n");
    start_engine();
    load_image("busybox:1");
    start_fleetd();
}

Rig::~Rig() {
    if (!engine_)
        start_engine(); // to stop its containers
    shut_down();
}

void Rig::start_engine() {
    engine_ = base::Child::spawn({program("engined"), "--state-dir", directory_ / "engine", "--services-dir",
                                  directory_ / "services", "--images-dir", directory_ / "images", "--runtime",
                                  program("ocirun"), "--monitor", program("engine-monitor"), "--cgroup-parent", "none",
                                  "--host-config", ""});
    wait_until("engined answers", [] { return answers(docker_socket, "/_ping"); });
}

void Rig::start_fleetd() {
    fleetd_ =
        base::Child::spawn({program("fleetd"), "--state", directory_ / "fleet", "--config", directory_ / "host.yaml"});
    wait_until("fleetd answers", [] { return answers(fleet_socket, "/v1/hosts"); });
}

void Rig::kill_engine() {
    end(engine_, SIGKILL);
}

void Rig::kill_fleetd() {
    end(fleetd_, SIGKILL);
}

void Rig::shut_down() {
    end(fleetd_, SIGTERM);
    end(engine_, SIGTERM);
}

base::RunResult Rig::fleetctl(const std::vector<std::string>& arguments, const std::string& input,
                              const std::vector<std::string>& environment) const {
    std::vector<std::string> argv{program("fleetctl")};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    base::RunOptions options;
    options.input = input;
    options.spawn.directory = directory_.path();
    options.spawn.environment = environment;
    options.timeout = 60s;
    return base::run(argv, options);
}

std::string Rig::fleetctl_ok(const std::vector<std::string>& arguments, const std::string& input) const {
    const base::RunResult result = fleetctl(arguments, input);
    BOOST_TEST(result.status.success(), "fleetctl " << arguments[0] << ": " << result.errors);
    return result.output;
}

std::string Rig::engine(const std::string& path) {
    const auto response = base::http::Client(fmt::format("unix:{}", docker_socket)).get(path);
    return response.status == 200 ? response.body : "";
}

std::string Rig::container_id(const std::string& name) {
    const std::string text = engine(fmt::format("/containers/{}/json", name));
    const auto start = text.find("\"Id\":\"");
    BOOST_REQUIRE_MESSAGE(start != std::string::npos, "no container " << name);
    return text.substr(start + 6, 64);
}

void Rig::load_image(const std::string& reference) const {
    make_image(directory_ / "image.tar", reference);
    base::http::ClientRequest request;
    request.method = "POST";
    request.target = "/images/load";
    request.content_type = "application/x-tar";
    request.body = base::read_file(directory_ / "image.tar");
    const auto response = base::http::Client(fmt::format("unix:{}", docker_socket)).send(request);
    BOOST_REQUIRE_MESSAGE(response.ok(), response.body);
}

std::string Rig::fetch(unsigned port) {
    try {
        base::http::ClientRequest request;
        request.target = "/";
        request.timeout = 2s;
        return base::http::Client(fmt::format("http://127.0.0.1:{}", port)).send(request).body;
    } catch (const base::Error&) { // nobody there
        return {};
    }
}

void Rig::wait_until(const std::string& description, const std::function<bool()>& what) {
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (!what()) {
        if (std::chrono::steady_clock::now() > deadline)
            BOOST_FAIL("waited in vain until " << description);
        std::this_thread::sleep_for(20ms);
    }
}

std::string Rig::write(const std::string& name, const std::string& text) const {
    base::write_durable(directory_ / name, text);
    return directory_ / name;
}

void Rig::configure_tls(unsigned port) const {
    const std::string tls = directory_ / "tls";
    base::make_directories(tls);
    const auto openssl = [&](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), "openssl");
        base::RunOptions options;
        options.spawn.directory = tls;
        base::run_checked(arguments, options);
    };
    const std::vector<std::string> key{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"};
    const auto with_key = [&](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin() + 1, key.begin(), key.end());
        openssl(std::move(arguments));
    };
    with_key({"req", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test"});
    with_key({"req", "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=someone"});
    base::write_durable(tls + "/names", "subjectAltName=IP:127.0.0.1\n");
    openssl({"x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out",
             "cert.pem", "-days", "2", "-extfile", "names"});
    write("host.yaml", fmt::format("fleet: {{listen: \"127.0.0.1:{}\", tls: {{ca: tls/ca.pem, certificate: "
                                   "tls/cert.pem, key: tls/key.pem}}}}\n",
                                   port));
}

} // namespace fleet_test
