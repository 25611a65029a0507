#include "base/http/local_client.hpp"
#include "daemon/docker_json.hpp"
#include "daemon/engine_api.hpp"

namespace fleet {
namespace {

using namespace std::chrono_literals;
using base::http::ClientRequest;
using base::http::ClientResponse;

constexpr const char* api = "/v1.41";
/// Twelve digits name a container to people.
std::string shorten(const std::string& id) {
    return id.substr(0, 12);
}

constexpr int stop_seconds = 10; ///< between SIGTERM and SIGKILL

class DockerEngine final : public EngineApi {
public:
    explicit DockerEngine(const std::string& address) : client_(address) {}

    std::string version() override {
        const auto response = expect_ok(send("GET", "/version"), "ask the engine for its version");
        return parse_version(response.body);
    }

    std::vector<ObservedContainer> containers() override {
        const std::string filters = base::http::url_encode(R"({"label":["atoll.fleet.unit"]})");
        const auto list = expect_ok(send("GET", "/containers/json?all=1&filters=" + filters), "list containers");
        std::vector<ObservedContainer> found;
        for (const std::string& id : parse_container_ids(list.body)) {
            const auto response = send("GET", container_path(id, "json"));
            if (response.status == 404)
                continue; // removed in between
            found.push_back(parse_container(expect_ok(response, "inspect container " + shorten(id)).body));
        }
        return found;
    }

    bool has_image(const std::string& image) override {
        const auto response = send("GET", "/images/" + base::http::url_encode(image) + "/json");
        return response.status != 404 && expect_ok(response, "inspect image " + image).ok();
    }

    void pull(const std::string& image) override {
        std::string name = image;
        std::string tag;
        if (image.find('@') == std::string::npos) {
            const auto colon = image.rfind(':');
            const bool has_tag = colon != std::string::npos && image.find('/', colon) == std::string::npos;
            tag = has_tag ? image.substr(colon + 1) : "latest";
            name = has_tag ? image.substr(0, colon) : image;
        }
        const auto response = send("POST",
                                   fmt::format("/images/create?fromImage={}&tag={}", base::http::url_encode(name),
                                               base::http::url_encode(tag)),
                                   {}, 30min);
        const std::string error = response.ok() ? pull_error(response.body) : error_message(response.body);
        if (!error.empty() || !response.ok())
            throw base::Error(fmt::format("image {} is not present and cannot be pulled: {}", image, error));
    }

    std::string create(const Unit& unit, unsigned replica, const std::string& store) override {
        const std::string name = container_name(unit.spec.name, replica);
        const auto response = send("POST", "/containers/create?name=" + base::http::url_encode(name),
                                   create_body(unit, replica, store), 60s);
        expect_ok(response, "create container " + name);
        return name;
    }

    void start(const std::string& container) override { post(container, "start", "start", 60s); }
    void stop(const std::string& container) override {
        post(container, fmt::format("stop?t={}", stop_seconds), "stop", 60s);
    }
    void remove(const std::string& container) override {
        const auto response = send("DELETE", container_path(container, "") + "?v=1");
        if (response.status != 404)
            expect_ok(response, "remove container " + shorten(container));
    }

    std::string logs(const std::string& container, unsigned lines) override {
        const auto response =
            send("GET", container_path(container, fmt::format("logs?stdout=1&stderr=1&tail={}", lines)));
        return demultiplex(expect_ok(response, "read logs of container " + shorten(container)).body);
    }

private:
    static std::string container_path(const std::string& id, const std::string& what) {
        return "/containers/" + base::http::url_encode(id) + (what.empty() ? "" : "/" + what);
    }

    ClientResponse send(const std::string& method, const std::string& path, const std::string& body = {},
                        std::chrono::milliseconds timeout = 30s) {
        ClientRequest request;
        request.method = method;
        request.target = api + path;
        request.body = body;
        request.timeout = timeout;
        try {
            return client_.send(request);
        } catch (const base::Error& error) {
            throw EngineUnreachable(fmt::format("the container engine does not answer: {}", base::error_chain(error)));
        }
    }

    static ClientResponse expect_ok(ClientResponse response, const std::string& what) {
        if (!response.ok())
            throw base::Error(fmt::format("{}: {}", what, error_message(response.body)));
        return response;
    }

    void post(const std::string& container, const std::string& what, const char* verb,
              std::chrono::milliseconds timeout) {
        const auto response = send("POST", container_path(container, what), {}, timeout);
        if (response.status != 304) // it is so already
            expect_ok(response, fmt::format("{} container {}", verb, shorten(container)));
    }

    base::http::LocalClient client_;
};

} // namespace

std::string container_name(const std::string& unit, unsigned replica) {
    return fmt::format("fleet-{}-{}", unit, replica);
}

std::unique_ptr<EngineApi> connect_docker_engine(const std::string& address) {
    return std::make_unique<DockerEngine>(address);
}

} // namespace fleet
