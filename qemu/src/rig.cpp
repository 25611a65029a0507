#include "qemu/rig.hpp"

#include <cstdlib>

#include "base/error.hpp"
#include "base/files.hpp"

namespace qemu {
namespace {

namespace fs = std::filesystem;

constexpr std::uint16_t docker_port = 2376;
constexpr std::uint16_t fleet_port = 4001;

MachineOptions machine_options(const RigOptions& rig) {
    MachineOptions options;
    options.name = rig.name;
    options.directory = rig.directory;
    options.disk = rig.disk;
    options.firmware = rig.firmware;
    options.cpus = rig.cpus;
    options.die_with_parent = rig.die_with_parent;
    options.write_log = rig.write_log;
    options.forward.insert(options.forward.end(), rig.more_ports.begin(), rig.more_ports.end());
    return options;
}

std::string without_last_line_end(std::string text) {
    if (!text.empty() && text.back() == '\n')
        text.pop_back();
    return text;
}

} // namespace

std::string find_docker(const Places& places) {
    const char* path = std::getenv("PATH");
    for (std::string_view rest = path != nullptr ? path : ""; !rest.empty();) {
        const std::size_t end = std::min(rest.find(':'), rest.size());
        const std::string candidate = std::string(rest.substr(0, end)) + "/docker";
        if (::access(candidate.c_str(), X_OK) == 0)
            return candidate;
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    const std::string directory = places.out + "/docker";
    const std::string client = directory + "/usr/bin/docker";
    const base::UniqueFd lock = places.lock();
    if (::access(client.c_str(), X_OK) == 0)
        return client;
    base::make_directories(directory);
    // apt-get download drops its privileges and needs a directory that its own user can write; or says so and does not.
    run_logged(places, "docker-client",
               {"sh", "-c",
                "cd \"$0\" && apt-get -q -o APT::Sandbox::User=root download docker.io && "
                "dpkg-deb --fsys-tarfile docker.io_*.deb | tar -x ./usr/bin/docker",
                directory});
    return client;
}

Rig::Rig(const Places& places, RigOptions options)
    : places_(places), options_(std::move(options)), tls_(make_tls_material(places)),
      server_(std::in_place, options_.repository, options_.server_port), docker_(find_docker(places)), machine_([&] {
          MachineOptions machine = machine_options(options_);
          machine.config_drive = tls_.server_files();
          machine.config_drive["host.yaml"] = host_yaml();
          return machine;
      }()) {}

std::string Rig::host_yaml() const {
    constexpr const char* tls = "{ca: ca.pem, certificate: cert.pem, key: key.pem}";
    return fmt::format("hostname: {}\n"
                       "engine: {{listen: \"0.0.0.0:{}\", tls: {}}}\n"
                       "fleet: {{listen: \"0.0.0.0:{}\", tls: {}}}\n"
                       "update: {{url: \"{}\", settle: {}s, trial: {}s}}\n",
                       options_.name, docker_port, tls, fleet_port, tls, server_->guest_url(), options_.settle_seconds,
                       options_.trial_seconds) +
           options_.more_host_yaml;
}

void Rig::publish(const std::string& repository) {
    server_->serve(repository);
}

void Rig::boot(Seconds limit) {
    machine_.create();
    machine_.start();
    wait_good(limit);
}

void Rig::wait_good(Seconds limit) {
    const Deadline deadline(limit);
    const auto left = [&deadline] {
        return Seconds(deadline.poll_milliseconds() / 1000.0);
    };
    machine_.wait_shell(left());
    // Written by the updater once the engine called everything required healthy for the settle time.
    try {
        machine_.run_until("test -s /run/atoll/good-revision && enginectl health && "
                           "updatectl status --json | grep -Eq '\"busy\": *false'",
                           left());
    } catch (const std::exception&) {
        std::string state;
        try {
            state = health() + machine_.run("updatectl status").output;
        } catch (const std::exception& error) {
            state = base::error_chain(error);
        }
        std::throw_with_nested(base::Error("the machine did not get healthy: " + state));
    }
}

void Rig::wait_next_boot(Seconds limit) {
    const Deadline deadline(limit);
    machine_.wait_rebooted(limit);
    wait_good(Seconds(deadline.poll_milliseconds() / 1000.0));
}

void Rig::wait_fallback(const std::string& expected, Seconds limit) {
    const Deadline deadline(limit);
    const auto left = [&deadline] {
        return Seconds(deadline.poll_milliseconds() / 1000.0);
    };
    // Boots of the bad release may get as far as a shell, or not, and reboot while they are asked: its version decides.
    for (bool back = false; !back;) {
        machine_.wait_rebooted(left());
        try {
            const bool good = machine_.run("test -s /run/atoll/good-revision").ok();
            const std::string running = version();
            back = running == expected;
            if (good && !back)
                throw base::Error("release " + running + " was found good");
        } catch (const ShellRestarted&) { // the next boot is asked
        }
    }
    wait_good(left());
}

std::string Rig::health() {
    return machine_.run("enginectl health --json").output;
}

std::string Rig::version() {
    return without_last_line_end(
        machine_.run_checked(R"(sed -n "s/^version: *//p" /usr/lib/atoll/image.yaml | tr -d \"\')"));
}

void Rig::reboot(Seconds limit) {
    machine_.post("initctl reboot");
    wait_next_boot(limit);
}

std::vector<std::string> Rig::client_environment() const {
    const std::string fleet = fmt::format("https://127.0.0.1:{}", machine_.port(fleet_port));
    return {fmt::format("DOCKER_HOST=tcp://127.0.0.1:{}", machine_.port(docker_port)),
            "DOCKER_TLS_VERIFY=1",
            "DOCKER_CERT_PATH=" + tls_.client_directory(),
            "DOCKER_CONFIG=" + places_.out + "/docker-config",
            "ATOLL_FLEET_ADDRESS=" + fleet,
            "ATOLL_FLEET_TLS_DIR=" + tls_.client_directory()};
}

base::RunResult Rig::docker(const std::vector<std::string>& arguments, const std::string& input) {
    std::vector<std::string> argv = {docker_};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    base::RunOptions options;
    options.spawn.environment = client_environment();
    options.input = input;
    options.timeout = std::chrono::minutes(3);
    return base::run(argv, options);
}

std::string Rig::docker_checked(const std::vector<std::string>& arguments, const std::string& input) {
    const base::RunResult result = docker(arguments, input);
    if (!result.status.success()) {
        std::string command = "docker";
        for (const std::string& argument : arguments)
            command += ' ' + argument;
        throw base::Error(fmt::format("{}: {}: {}{}", command, result.status.describe(), result.output, result.errors));
    }
    return without_last_line_end(result.output);
}

std::string Rig::fleetctl(const std::vector<std::string>& arguments, const std::string& input) {
    std::vector<std::string> argv = {places_.binaries + "/fleetctl"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    base::RunOptions options;
    options.spawn.environment = client_environment();
    options.input = input;
    options.timeout = std::chrono::minutes(6);
    return base::run_checked(argv, options);
}

} // namespace qemu
