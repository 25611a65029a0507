#include "fake_docker.hpp"

#include "base/json.hpp"

namespace fleet_test {

namespace json = base::json;
using base::http::HttpError;
using base::http::Request;
using base::http::Response;

FakeDocker::FakeDocker(const std::string& path) {
    server_.listen_unix(path, 0600, [this](Request& request, Response& response) {
        const std::lock_guard lock(mutex_);
        route(request, response);
    });
    server_.start();
}

void FakeDocker::set(const std::string& name, const std::string& state, const std::string& health, int exit_code) {
    const std::lock_guard lock(mutex_);
    Container& container = containers_.at(name);
    container.state = state;
    container.health = health;
    container.exit_code = exit_code;
}

FakeDocker::Container FakeDocker::get(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    return containers_.at(name);
}

std::size_t FakeDocker::count() const {
    const std::lock_guard lock(mutex_);
    return containers_.size();
}

void FakeDocker::add_image(const std::string& image) {
    const std::lock_guard lock(mutex_);
    images_.insert(image);
}

void FakeDocker::add_to_registry(const std::string& image) {
    const std::lock_guard lock(mutex_);
    registry_.insert(image);
}

void FakeDocker::refuse(const std::string& verb, const std::string& message) {
    const std::lock_guard lock(mutex_);
    refused_[verb] = message;
}

std::vector<std::string> FakeDocker::log() const {
    const std::lock_guard lock(mutex_);
    return log_;
}

void FakeDocker::add_foreign(const std::string& name, const std::string& labels_json) {
    const std::lock_guard lock(mutex_);
    add({.name = name, .body = R"({"Image":"x","Labels":)" + labels_json + "}", .image = "x", .state = "running"});
}

std::string FakeDocker::add(Container container) {
    container.id = fmt::format("{:064x}", next_id_++);
    const std::string id = container.id;
    containers_[container.name] = std::move(container);
    return id;
}

void FakeDocker::route(Request& request, Response& response) {
    const std::string prefix = "/v1.41";
    if (!request.path.starts_with(prefix))
        throw HttpError(404, "page not found");
    const std::string path = request.path.substr(prefix.size());
    if (path == "/version")
        response.send(200, R"({"Version":"fake-1"})");
    else if (path == "/containers/json")
        container_call(request, response, "json");
    else if (path == "/containers/create")
        create(request, response);
    else if (path.starts_with("/containers/"))
        container_call(request, response, path.substr(12));
    else if (path.starts_with("/images/"))
        image_call(request, response, path.substr(8));
    else
        throw HttpError(404, "page not found");
}

void FakeDocker::check_refused(const std::string& verb) const {
    const auto it = refused_.find(verb);
    if (it != refused_.end() && !it->second.empty())
        throw HttpError(500, it->second);
}

FakeDocker::Container& FakeDocker::find(const std::string& id) {
    for (auto& [name, container] : containers_) {
        if (container.id == id || name == id)
            return container;
    }
    throw HttpError(404, "No such container: " + id);
}

void FakeDocker::create(Request& request, Response& response) {
    check_refused("create");
    const std::string text = request.body();
    const json::value body = base::parse_json(text, "body");
    const std::string name = request.query_value("name");
    const std::string image = base::JsonObject(body, "body").required_string("Image");
    if (!images_.contains(image))
        throw HttpError(404, "No such image: " + image);
    if (containers_.contains(name))
        throw HttpError(409, "The container name " + name + " is already in use");
    log_.push_back("create " + name);
    const std::string id = add({.name = name, .body = text, .image = image});
    response.send(201, json::serialize(json::object{{"Id", id}, {"Warnings", json::array{}}}));
}

std::string FakeDocker::describe(const Container& container) const {
    json::value body = json::parse(container.body);
    json::object state{{"Status", container.state},
                       {"ExitCode", container.exit_code},
                       {"Error", ""},
                       {"StartedAt", "2026-11-21T12:00:00.123456789Z"},
                       {"FinishedAt", "0001-01-01T00:00:00Z"}};
    if (!container.health.empty())
        state["Health"] = json::object{{"Status", container.health}};
    return json::serialize(json::object{{"Id", container.id},
                                        {"Name", "/" + container.name},
                                        {"RestartCount", 0},
                                        {"Config", json::object{{"Labels", body.at("Labels")}}},
                                        {"State", std::move(state)}});
}

void FakeDocker::container_call(Request& request, Response& response, const std::string& rest) {
    if (rest == "json") {
        if (request.query_value("filters") != R"({"label":["atoll.fleet.unit"]})" || !request.query_flag("all"))
            throw HttpError(400, "not the filter of fleetd");
        json::array list;
        for (const auto& [name, container] : containers_)
            list.push_back(json::object{{"Id", container.id}});
        response.send(200, json::serialize(list));
        return;
    }
    const auto slash = rest.find('/');
    Container& container = find(rest.substr(0, slash));
    const std::string what = slash == std::string::npos ? "remove" : rest.substr(slash + 1);
    check_refused(what);
    const bool up = container.state == "running";
    if (what == "json") {
        response.send(200, describe(container));
        return;
    }
    if (what == "logs") {
        response.send(200, std::string("\1\0\0\0\0\0\0\6hello\n\2\0\0\0\0\0\0\4oops", 26), "application/octet-stream");
        return;
    }
    if ((what == "start" && up) || (what == "stop" && !up)) {
        response.send(304, "");
        return;
    }
    log_.push_back(what + " " + container.name);
    if (what == "start") {
        container.state = "running";
        ++container.starts;
    } else if (what == "stop") {
        container.state = "exited";
        container.exit_code = 143;
    } else if (request.method == "DELETE") {
        if (up)
            throw HttpError(409, "cannot remove a running container");
        containers_.erase(container.name);
    } else {
        throw HttpError(404, "page not found");
    }
    response.send(204, "");
}

void FakeDocker::image_call(Request& request, Response& response, const std::string& rest) {
    if (rest == "create") {
        const std::string image = request.query_value("fromImage") + ":" + request.query_value("tag");
        log_.push_back("pull " + image);
        if (registry_.contains(image)) {
            images_.insert(image);
            response.send(200, "{\"status\":\"Pulling\"}\r\n{\"status\":\"Done\"}\r\n");
        } else {
            response.send(200, "{\"status\":\"Pulling\"}\r\n{\"errorDetail\":{},\"error\":\"manifest unknown\"}\r\n");
        }
    } else if (rest.ends_with("/json")) {
        const std::string image = rest.substr(0, rest.size() - 5);
        if (!images_.contains(image))
            throw HttpError(404, "No such image: " + image);
        response.send(200, "{}");
    } else {
        throw HttpError(404, "page not found");
    }
}

} // namespace fleet_test
