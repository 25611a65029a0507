#include "daemon/api.hpp"

#include <charconv>

#include "base/config_reader.hpp"
#include "base/log.hpp"
#include "daemon/api_json.hpp"

namespace fleet {
namespace {

using base::http::HttpError;
using base::http::Request;
using base::http::Response;

constexpr std::size_t body_limit = 2 * max_unit_text;
constexpr unsigned most_log_lines = 10'000;

template <typename T>
T number(const std::string& text, T max, const std::string& what) {
    T value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value > max)
        throw HttpError(400, fmt::format("{}: expected a number up to {}", what, max));
    return value;
}

/// The revision of an If-Match header; nullopt without one, or for "*".
std::optional<Revision> expected_revision(const Request& request) {
    std::string text = request.header("If-Match");
    if (text.empty() || text == "*")
        return std::nullopt;
    if (text.size() > 2 && text.front() == '"' && text.back() == '"')
        text = text.substr(1, text.size() - 2);
    return number<Revision>(text, INT64_MAX, "If-Match");
}

base::http::Headers etag(Revision revision) {
    return {{"ETag", fmt::format("\"{}\"", revision)}};
}

/// "web" and "status" of "/v1/units/web/status".
std::pair<std::string, std::string> split_unit_path(const std::string& path) {
    const auto slash = path.find('/');
    return {path.substr(0, slash), slash == std::string::npos ? "" : path.substr(slash + 1)};
}

[[noreturn]] void no_unit(const std::string& name) {
    throw HttpError(404, fmt::format("there is no unit {}", name));
}

[[noreturn]] void wrong_method(const Request& request) {
    throw HttpError(405, fmt::format("{} is not possible on {}", request.method, request.path));
}

} // namespace

void Api::handle(Request& request, Response& response) {
    constexpr std::string_view units = "/v1/units";
    try {
        if (request.path == units || request.path == "/v1/hosts") {
            if (request.method != "GET")
                wrong_method(request);
            const FleetSnapshot fleet = read_snapshot(store_);
            response.send(200, request.path == units ? unit_list_json(fleet) : host_list_json(fleet));
        } else if (request.path.starts_with("/v1/units/")) {
            const auto [name, what] = split_unit_path(request.path.substr(units.size() + 1));
            if (!valid_unit_name(name))
                throw HttpError(400, "not a name of a unit");
            handle_unit(request, response, name, what);
        } else {
            throw HttpError(404, fmt::format("there is nothing at {}", request.path));
        }
    } catch (const RevisionMismatch& error) {
        throw HttpError(412, error.what());
    } catch (const EngineUnreachable& error) {
        throw HttpError(502, error.what());
    }
}

void Api::handle_unit(Request& request, Response& response, const std::string& name, const std::string& what) {
    const std::string call = request.method + " " + what;
    if (call == "GET ") {
        const auto unit = registry_.find(name);
        if (!unit)
            no_unit(name);
        response.send(200, unit_json(*unit), "application/json", etag(unit->revision()));
    } else if (call == "PUT ") {
        put_unit(request, response, name);
    } else if (call == "DELETE ") {
        if (!registry_.destroy(name, expected_revision(request)))
            no_unit(name);
        base::log_info("destroyed unit={} by={}", name, request.peer.describe());
        response.send(202, submitted_json(name, 0, false, true)); // its containers go after
    } else if (call == "GET status") {
        const FleetSnapshot fleet = read_snapshot(store_);
        if (!fleet.units.contains(name) && !fleet.unreadable.contains(name) && unit_status(fleet, name).empty())
            no_unit(name);
        response.send(200, unit_status_json(fleet, name));
    } else if (call == "POST desired") {
        Desired desired{};
        try {
            desired = parse_desired_body(request.body(body_limit));
        } catch (const HttpError&) {
            throw;
        } catch (const base::Error& error) {
            throw HttpError(400, error.what());
        }
        const auto revision = registry_.set_desired(name, desired, expected_revision(request));
        if (!revision)
            no_unit(name);
        base::log_info("wanted unit={} desired={} by={}", name, to_string(desired), request.peer.describe());
        response.send(200, submitted_json(name, *revision, false, true), "application/json", etag(*revision));
    } else if (call == "GET logs") {
        response.send(200, logs(request, name), "text/plain; charset=utf-8");
    } else if (what.empty() || what == "status" || what == "desired" || what == "logs") {
        wrong_method(request);
    } else {
        throw HttpError(404, fmt::format("there is nothing at {}", request.path));
    }
}

void Api::put_unit(Request& request, Response& response, const std::string& name) {
    SubmitBody body;
    try {
        body = parse_submit_body(request.body(body_limit));
    } catch (const HttpError&) {
        throw;
    } catch (const base::ConfigError& error) {
        response.send(400, problems_json(error.what(), error.problems()));
        return;
    } catch (const base::Error& error) {
        throw HttpError(400, error.what());
    }
    if (body.spec.name != name)
        throw HttpError(400, fmt::format("the unit is named {}, the path says {}", body.spec.name, name));
    const auto result = registry_.submit(body.spec, body.source, body.desired, expected_revision(request));
    if (result.changed)
        base::log_info("submitted unit={} by={}", name, request.peer.describe());
    response.send(result.created ? 201 : 200, submitted_json(name, result.revision, result.created, result.changed),
                  "application/json", etag(result.revision));
}

std::string Api::logs(const Request& request, const std::string& name) {
    const auto replica = number<unsigned>(request.query_value("replica", "0"), max_replicas, "replica");
    const auto lines = number<unsigned>(request.query_value("tail", "100"), most_log_lines, "tail");
    const FleetSnapshot fleet = read_snapshot(store_);
    const auto replicas = unit_status(fleet, name);
    if (replicas.empty() && !fleet.units.contains(name))
        no_unit(name);
    for (const ReplicaStatus& status : replicas) {
        if (status.report.replica != replica || status.report.container.empty())
            continue;
        if (status.host != host_)
            throw HttpError(501,
                            fmt::format("replica {} of {} is on host {}: ask there", replica, name, status.host_name));
        return connect_()->logs(status.report.container, lines);
    }
    throw HttpError(404, fmt::format("replica {} of unit {} has no container", replica, name));
}

} // namespace fleet
