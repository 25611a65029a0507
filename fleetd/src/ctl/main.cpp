// fleetctl: the command line of a fleet.
#include <CLI/CLI.hpp>

#include <cstdlib>

#include "base/command_line.hpp"
#include "base/config_reader.hpp"
#include "ctl/commands.hpp"

namespace {

struct Options {
    std::string address;
    std::string ca;
    std::string certificate;
    std::string key;
    std::vector<std::string> arguments;
    long timeout = 300;
    fleet::CommandOptions command;
};

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

fleet::FleetAddress find_address(const Options& options) {
    fleet::FleetAddress result;
    result.address = options.address.empty() ? environment("ATOLL_FLEET_ADDRESS") : options.address;
    if (result.address.empty())
        result.address = "unix:/run/atoll/fleet.sock";
    if (!result.address.starts_with("https://"))
        return result;
    const std::string directory = environment("ATOLL_FLEET_TLS_DIR");
    const auto file = [&](const std::string& option, const char* name) {
        return option.empty() && !directory.empty() ? directory + "/" + name : option;
    };
    result.tls =
        base::TlsFiles{file(options.ca, "ca.pem"), file(options.certificate, "cert.pem"), file(options.key, "key.pem")};
    if (result.tls->ca.empty() || result.tls->certificate.empty() || result.tls->key.empty())
        throw base::UsageError("https needs --tls-ca, --tls-cert and --tls-key, or ATOLL_FLEET_TLS_DIR with ca.pem, "
                               "cert.pem and key.pem");
    return result;
}

using Command = std::function<int(fleet::FleetClient&)>;

class CommandLine {
public:
    CommandLine() : app_("Units on a fleet: submit them, start them, see how they do") {
        app_.set_version_flag("--version", base::version());
        app_.require_subcommand(1);
        app_.fallthrough();
        app_.add_option("--address", options_.address,
                        "fleetd: unix:PATH or https://HOST:4001 [ATOLL_FLEET_ADDRESS, unix:/run/atoll/fleet.sock]");
        app_.add_option("--tls-ca", options_.ca, "CA certificate [ATOLL_FLEET_TLS_DIR/ca.pem]");
        app_.add_option("--tls-cert", options_.certificate, "Client certificate [ATOLL_FLEET_TLS_DIR/cert.pem]");
        app_.add_option("--tls-key", options_.key, "Its key [ATOLL_FLEET_TLS_DIR/key.pem]");
        add_changing();
        add_reading();
    }

    int run(int argc, char** argv) {
        try {
            app_.parse(argc, argv);
        } catch (const CLI::ParseError& error) {
            return base::end_of_parse(app_, error);
        }
        options_.command.timeout = std::chrono::seconds(options_.timeout);
        try {
            fleet::FleetClient client(find_address(options_));
            return chosen_(client);
        } catch (const base::ConfigError& error) {
            // As editors and people know it from compilers: every problem a line that begins with its place.
            for (const std::string& problem : error.problems())
                fmt::print(stderr, "{}\n", problem);
            return 1;
        }
    }

private:
    CLI::App* add(const char* name, const char* description, Command command) {
        CLI::App* sub = app_.add_subcommand(name, description);
        sub->callback([this, command = std::move(command)] { chosen_ = command; });
        return sub;
    }
    CLI::App* with_arguments(CLI::App* sub, const char* name, const char* description) {
        sub->add_option(name, options_.arguments, description)->required();
        return sub;
    }
    void with_waiting(CLI::App* sub) {
        sub->add_flag("!--no-block", options_.command.block, "Do not wait until it is so");
        sub->add_option("--timeout", options_.timeout, "Seconds to wait")
            ->capture_default_str()
            ->check(CLI::Range(1, 86'400));
    }
    void with_json(CLI::App* sub) { sub->add_flag("--json", options_.command.json, "As JSON"); }
    void with_lines(CLI::App* sub) {
        sub->add_option("-n,--lines", options_.command.lines, "Lines of the log")
            ->capture_default_str()
            ->check(CLI::Range(0, 10'000));
    }

    void add_changing() {
        using fleet::FleetClient;
        with_arguments(
            add("submit", "Store units, or change them",
                [this](FleetClient& c) { return fleet::submit_files(c, options_.arguments, options_.command); }),
            "FILE", "Unit files; - is standard input");
        with_waiting(with_arguments(
            add("start", "Run units, and wait until they run",
                [this](FleetClient& c) { return fleet::start_units(c, options_.arguments, options_.command); }),
            "UNIT", "Names, or unit files to submit before"));
        with_waiting(with_arguments(
            add("stop", "Stop units; their containers and logs stay",
                [this](FleetClient& c) { return fleet::stop_units(c, options_.arguments, options_.command); }),
            "UNIT", "Names"));
        with_waiting(with_arguments(
            add("destroy", "Stop units, remove their containers and forget them",
                [this](FleetClient& c) { return fleet::destroy_units(c, options_.arguments, options_.command); }),
            "UNIT", "Names"));
    }

    void add_reading() {
        using fleet::FleetClient;
        with_json(add("list-units", "Units and their replicas",
                      [this](FleetClient& c) { return fleet::list_units(c, options_.command); }));
        with_json(add("list-hosts", "Hosts of the fleet",
                      [this](FleetClient& c) { return fleet::list_hosts(c, options_.command); }));
        CLI::App* status = with_arguments(
            add("status", "How units do, with the end of their logs",
                [this](FleetClient& c) { return fleet::show_status(c, options_.arguments, options_.command); }),
            "UNIT", "Names");
        with_json(status);
        with_lines(status);
        add("cat", "Print a unit's file", [this](FleetClient& c) { return fleet::print_source(c, argument_); })
            ->add_option("UNIT", argument_, "Name")
            ->required();
        CLI::App* logs = add("logs", "Print the end of a replica's log",
                             [this](FleetClient& c) { return fleet::print_logs(c, argument_, options_.command); });
        logs->add_option("UNIT", argument_, "Name")->required();
        logs->add_option("--replica", options_.command.replica, "Number of the replica")->capture_default_str();
        with_lines(logs);
    }

    CLI::App app_;
    Options options_;
    std::string argument_;
    Command chosen_;
};

} // namespace

int main(int argc, char** argv) {
    return base::run_main("fleetctl", [&] { return CommandLine().run(argc, argv); });
}
