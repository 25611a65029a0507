// The words of engine/container.hpp's enumerations, and the HTTP status of an error.
#include "engine/container.hpp"
#include "engine/engine.hpp"

namespace engine {

const char* to_string(RestartPolicy::Kind kind) noexcept {
    switch (kind) {
    case RestartPolicy::Kind::no:
        return "no";
    case RestartPolicy::Kind::on_failure:
        return "on-failure";
    case RestartPolicy::Kind::always:
        return "always";
    case RestartPolicy::Kind::unless_stopped:
        return "unless-stopped";
    }
    return "no";
}

std::optional<RestartPolicy::Kind> parse_restart_policy(const std::string& text) {
    using Kind = RestartPolicy::Kind;
    if (text.empty())
        return Kind::no;
    for (const Kind kind : {Kind::no, Kind::on_failure, Kind::always, Kind::unless_stopped})
        if (text == to_string(kind))
            return kind;
    return std::nullopt;
}

const char* to_string(Status status) noexcept {
    switch (status) {
    case Status::created:
        return "created";
    case Status::running:
        return "running";
    case Status::paused:
        return "paused";
    case Status::restarting:
        return "restarting";
    case Status::exited:
        return "exited";
    case Status::dead:
        return "dead";
    case Status::removing:
        return "removing";
    }
    return "dead";
}

const char* to_string(Health health) noexcept {
    switch (health) {
    case Health::none:
        return "none";
    case Health::starting:
        return "starting";
    case Health::healthy:
        return "healthy";
    case Health::unhealthy:
        return "unhealthy";
    }
    return "none";
}

unsigned EngineError::http_status() const noexcept {
    switch (kind_) {
    case ErrorKind::invalid:
        return 400;
    case ErrorKind::forbidden:
        return 403;
    case ErrorKind::not_found:
        return 404;
    case ErrorKind::conflict:
        return 409;
    case ErrorKind::not_modified:
        return 304;
    case ErrorKind::failed:
        return 500;
    }
    return 500;
}

} // namespace engine
