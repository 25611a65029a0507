// enginectl: the host's services and containers, through engined's root socket.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/command_line.hpp"
#include "base/error.hpp"
#include "base/http/client.hpp"
#include "base/json.hpp"

namespace {

namespace json = base::json;

std::string message_of(const base::http::ClientResponse& response) {
    try {
        const json::value document = base::parse_json(response.body, "answer");
        return base::JsonObject(document, "answer").string("message");
    } catch (const base::Error&) {
        return response.body;
    }
}

class EngineClient {
public:
    explicit EngineClient(const std::string& socket) : client_("unix:" + socket) {}

    json::value get(const std::string& target) {
        const auto response = client_.get(target);
        if (!response.ok())
            throw base::Error(fmt::format("GET {}: {} {}", target, response.status, message_of(response)));
        return base::parse_json(response.body, "GET " + target);
    }
    void post(const std::string& target) {
        base::http::ClientRequest request;
        request.method = "POST";
        request.target = target;
        request.timeout = std::chrono::minutes(3);
        const auto response = client_.send(request);
        if (!response.ok() && response.status != 304)
            throw base::Error(fmt::format("POST {}: {} {}", target, response.status, message_of(response)));
    }
    void stream(const std::string& target, const std::function<bool(std::string_view)>& on_data) {
        base::http::ClientRequest request;
        request.target = target;
        request.timeout = std::chrono::milliseconds(0);
        request.on_data = on_data;
        const auto response = client_.send(request);
        if (!response.ok())
            throw base::Error(fmt::format("GET {}: {} {}", target, response.status, message_of(response)));
    }

private:
    base::http::Client client_;
};

/// Columns as wide as their widest value.
void print_table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths.resize(std::max(widths.size(), i + 1));
            widths[i] = std::max(widths[i], row[i].size());
        }
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i)
            line += i + 1 == row.size() ? row[i] : fmt::format("{:<{}}  ", row[i], widths[i]);
        std::puts(line.c_str());
    }
}

std::string one_line(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
    return text.size() > 100 ? text.substr(0, 97) + "..." : text;
}

void show_services(EngineClient& engine, bool as_json) {
    const json::value document = engine.get("/atoll/v1/health");
    const base::JsonObject health(document, "health");
    if (as_json) {
        std::puts(json::serialize(document.as_object().at("services")).c_str());
        return;
    }
    std::vector<std::vector<std::string>> rows = {{"SERVICE", "REQUIRED", "STATE", "HEALTH", "RESTARTS", "DETAIL"}};
    for (const json::value& value : health.array("services")) {
        const base::JsonObject service(value, "service");
        rows.push_back({service.string("name"), service.boolean("required") ? "yes" : "no", service.string("state"),
                        service.string("health"), std::to_string(service.integer("restarts")),
                        one_line(service.string("detail"))});
    }
    print_table(rows);
}

/// Exit code 0 when healthy, 1 when not.
int show_health(EngineClient& engine, bool as_json) {
    const json::value document = engine.get("/atoll/v1/health");
    const base::JsonObject health(document, "health");
    const bool healthy = health.boolean("healthy");
    if (as_json) {
        std::puts(json::serialize(document).c_str());
        return healthy ? 0 : 1;
    }
    std::puts(healthy ? "healthy" : "not healthy");
    for (const json::value& value : health.array("services")) {
        const base::JsonObject service(value, "service");
        const std::string state = service.string("state"), status = service.string("health");
        if (service.boolean("required") && (state != "running" || status == "unhealthy" || status == "starting"))
            std::puts(fmt::format("{}: {}, health {}{}", service.string("name"), state, status,
                                  service.string("detail").empty() ? "" : ": " + one_line(service.string("detail")))
                          .c_str());
    }
    return healthy ? 0 : 1;
}

/// The container of a service, by its label: the name is nobody's business.
std::string container_of(EngineClient& engine, const std::string& service) {
    const std::string filters = R"({"label":["atoll.system=)" + service + R"("]})";
    const json::value document = engine.get("/containers/json?all=1&filters=" + base::http::url_encode(filters));
    if (!document.is_array() || document.as_array().empty())
        throw base::Error("no such service: " + service);
    return base::JsonObject(document.as_array().front(), "container").required_string("Id");
}

/// Docker's frames of a stream without terminal: a byte of stream, three zeros, the size big-endian, the data.
class FrameWriter {
public:
    bool write(std::string_view data) {
        buffer_.append(data);
        std::size_t position = 0;
        while (buffer_.size() - position >= 8) {
            std::size_t size = 0;
            for (std::size_t i = 4; i < 8; ++i)
                size = size << 8 | static_cast<unsigned char>(buffer_[position + i]);
            if (buffer_.size() - position - 8 < size)
                break;
            std::fwrite(buffer_.data() + position + 8, 1, size, buffer_[position] == 2 ? stderr : stdout);
            position += 8 + size;
        }
        buffer_.erase(0, position);
        std::fflush(stdout);
        return true;
    }

private:
    std::string buffer_;
};

void show_logs(EngineClient& engine, const std::string& service, bool follow, const std::string& tail) {
    FrameWriter writer;
    engine.stream("/containers/" + container_of(engine, service) +
                      "/logs?stdout=1&stderr=1&tail=" + base::http::url_encode(tail) + (follow ? "&follow=1" : ""),
                  [&](std::string_view data) { return writer.write(data); });
}

void show_containers(EngineClient& engine, bool as_json) {
    json::array all;
    const json::value users = engine.get("/containers/json?all=1");
    const std::string filters = base::http::url_encode(R"({"label":["atoll.system"]})");
    const json::value system = engine.get("/containers/json?all=1&filters=" + filters);
    std::set<std::string> seen;
    for (const json::value* list : {&system, &users})
        for (const json::value& value : list->as_array())
            if (seen.insert(base::JsonObject(value, "container").required_string("Id")).second)
                all.push_back(value);
    if (as_json) {
        std::puts(json::serialize(all).c_str());
        return;
    }
    std::vector<std::vector<std::string>> rows = {{"CONTAINER", "NAME", "SERVICE", "IMAGE", "STATUS"}};
    for (const json::value& value : all) {
        const base::JsonObject container(value, "container");
        const auto names = container.strings("Names");
        const auto labels = container.object("Labels");
        const std::string name = names.empty() ? "" : names.front();
        rows.push_back({container.string("Id").substr(0, 12), name.starts_with('/') ? name.substr(1) : name,
                        labels ? labels->string("atoll.system", "-") : "-", container.string("Image"),
                        container.string("Status")});
    }
    print_table(rows);
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app("enginectl: the host's services and containers", "enginectl");
    std::string socket = "/run/atoll/engine.sock", service, tail = "all";
    bool as_json = false, follow = false;
    app.add_option("--socket", socket, "engined's root socket")->capture_default_str();
    app.set_version_flag("--version", base::version());
    app.require_subcommand(1);
    auto* services = app.add_subcommand("services", "list the services");
    services->add_flag("--json", as_json, "as JSON");
    auto* health = app.add_subcommand("health", "exit code 0 when every required service is well, 1 when not");
    health->add_flag("--json", as_json, "as JSON");
    auto* ps = app.add_subcommand("ps", "list all containers, with those of the system");
    ps->add_flag("--json", as_json, "as JSON");
    auto* restart = app.add_subcommand("restart", "restart a service");
    restart->add_option("SERVICE", service)->required();
    auto* logs = app.add_subcommand("logs", "print a service's log");
    logs->add_option("SERVICE", service)->required();
    logs->add_flag("-f,--follow", follow, "go on as it grows");
    logs->add_option("-n,--tail", tail, "only the last lines")->capture_default_str();
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return base::end_of_parse(app, error);
    }
    return base::run_main("enginectl", [&] {
        EngineClient engine(socket);
        if (services->parsed())
            show_services(engine, as_json);
        else if (health->parsed())
            return show_health(engine, as_json);
        else if (ps->parsed())
            show_containers(engine, as_json);
        else if (restart->parsed())
            engine.post("/containers/" + container_of(engine, service) + "/restart");
        else
            show_logs(engine, service, follow, tail);
        return 0;
    });
}
