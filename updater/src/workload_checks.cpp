#include "updater/workload_checks.hpp"

#include "base/error.hpp"
#include "base/http/client.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "base/process.hpp"
#include "updater/boot_text.hpp"

namespace updater {

namespace {

namespace json = base::json;
using Kind = base::HealthCheck::Kind;

constexpr std::size_t max_answer = 4 * 1024 * 1024;
constexpr std::size_t max_output = 64 * 1024;
constexpr std::size_t max_containers = 64; ///< of one label: the rest adds nothing
constexpr long not_found = 404;
constexpr int no_exit_code = 124; // as timeout(1)

/// engined's root socket: it also shows system containers.
class Engine {
public:
    explicit Engine(const std::string& socket) : name_(socket), client_("unix:" + socket) {}

    /// nullopt: there is no such container.
    std::optional<ContainerFacts> inspect(const std::string& container) {
        const auto response = send("GET", "/containers/" + base::http::url_encode(container) + "/json", 10);
        if (response.status == not_found)
            return std::nullopt;
        require(response);
        const json::value document = base::parse_json(response.body, "container " + container);
        const base::JsonObject root(document, "container " + container);
        ContainerFacts facts;
        facts.id = root.string("Id", container);
        facts.name = root.string("Name");
        if (facts.name.starts_with('/'))
            facts.name.erase(0, 1);
        if (const auto state = root.object("State")) {
            facts.state = state->string("Status");
            if (const auto health = state->object("Health"))
                facts.health = health->string("Status");
        }
        return facts;
    }

    std::vector<ContainerFacts> with_label(const std::string& label) {
        const std::string filter = json::serialize(json::object{{"label", json::array{json::string(label)}}});
        const auto response = send("GET", "/containers/json?all=1&filters=" + base::http::url_encode(filter), 10);
        require(response);
        const json::value document = base::parse_json(response.body, "list of containers");
        std::vector<ContainerFacts> found;
        if (!document.is_array())
            throw base::Error("list of containers: expected an array");
        for (const json::value& item : document.get_array()) {
            if (found.size() == max_containers)
                break;
            // One that goes away between the two questions is none.
            if (auto facts = inspect(base::JsonObject(item, "list of containers").required_string("Id")))
                found.push_back(std::move(*facts));
        }
        return found;
    }

    /// Starts the container and waits for its end; no_exit_code when that does not come in time. nullopt: there is no
    /// such container.
    std::optional<int> run(const std::string& container, std::uint64_t seconds) {
        const std::string path = "/containers/" + base::http::url_encode(container);
        const auto started = send("POST", path + "/start", 10);
        if (started.status == not_found)
            return std::nullopt;
        constexpr long runs_already = 304;
        if (started.status != runs_already)
            require(started);
        try {
            const auto ended = send("POST", path + "/wait", seconds);
            require(ended);
            const json::value document = base::parse_json(ended.body, "end of container " + container);
            return static_cast<int>(base::JsonObject(document, container).integer("StatusCode", no_exit_code));
        } catch (const base::Error& error) {
            base::log_info("waiting for check container {}: {}", container, base::error_chain(error));
            return no_exit_code; // too slow, or engined went away: a later round tells
        }
    }

private:
    base::http::ClientResponse send(const std::string& method, const std::string& target, std::uint64_t seconds) {
        base::http::ClientRequest request;
        request.method = method;
        request.target = target;
        request.timeout = std::chrono::seconds(seconds);
        request.limit = max_answer;
        return client_.send(request);
    }
    void require(const base::http::ClientResponse& response) const {
        if (!response.ok())
            throw base::Error(fmt::format("{}: engined answered {}", name_, response.status));
    }

    std::string name_;
    base::http::Client client_;
};

std::vector<ContainerFacts> find(const base::HealthCheck& check, Engine& engine) {
    switch (check.kind) {
    case Kind::service:
        return engine.with_label("atoll.system=" + check.target);
    case Kind::unit:
        return engine.with_label("atoll.fleet.unit=" + check.target);
    case Kind::label:
        return engine.with_label(check.target);
    default:
        break;
    }
    std::vector<ContainerFacts> found;
    if (auto facts = engine.inspect(check.target))
        found.push_back(std::move(*facts));
    return found;
}

CheckResult run_command(const base::HealthCheck& check) {
    base::RunOptions options;
    options.timeout = std::chrono::seconds(check.timeout_seconds);
    options.output_limit = max_output;
    const base::RunResult run = base::run(check.command, options);
    return judge_exit(check, run.status.shell_code(), run.errors.empty() ? run.output : run.errors);
}

CheckResult failed(const base::HealthCheck& check, std::string detail) {
    return {check.name, Outcome::failed, std::move(detail), {}, check.describe()};
}

CheckResult run_check(const base::HealthCheck& check, const std::string& engine_socket) {
    if (check.kind == Kind::command) {
        try {
            return run_command(check);
        } catch (const std::exception& error) { // too slow, no such program, too much output
            return failed(check, plain_text(base::error_chain(error), 300));
        }
    }
    try {
        Engine engine(engine_socket);
        if (check.kind != Kind::check_container)
            return judge_containers(check, find(check, engine));
        const std::optional<int> code = engine.run(check.target, check.timeout_seconds);
        return code ? judge_exit(check, *code, {}) : failed(check, "no container " + check.target);
    } catch (const std::exception& error) {
        return {check.name, Outcome::unknown, plain_text(base::error_chain(error), 300), {}, check.describe()};
    }
}

} // namespace

std::vector<CheckResult> run_checks(const std::vector<base::HealthCheck>& checks, const std::string& engine_socket) {
    std::vector<CheckResult> results;
    results.reserve(checks.size());
    for (const base::HealthCheck& check : checks)
        results.push_back(run_check(check, engine_socket));
    return results;
}

} // namespace updater
