// docker events.
#include "api/filters.hpp"
#include "api/json_answer.hpp"
#include "api/routes.hpp"
#include "api/time_text.hpp"

namespace engine::api {
namespace {

constexpr std::chrono::milliseconds look_interval{250};

json::object event_json(const Event& event) {
    json::object attributes = to_json(event.attributes);
    json::object result;
    if (event.type == "container" || event.type == "image") {
        result["status"] = event.action;
        result["id"] = event.actor_id;
        if (const auto image = event.attributes.find("image"); image != event.attributes.end())
            result["from"] = image->second;
    }
    result["Type"] = event.type;
    result["Action"] = event.action;
    result["Actor"] = json::object{{"ID", event.actor_id}, {"Attributes", std::move(attributes)}};
    result["scope"] = "local";
    result["time"] = unix_seconds(event.time);
    result["timeNano"] = unix_nanoseconds(event.time);
    return result;
}

std::string attribute(const Event& event, const std::string& name) {
    const auto found = event.attributes.find(name);
    return found == event.attributes.end() ? std::string() : found->second;
}

/// An actor by id, a prefix of it, or its name.
bool allows_actor(const Filters& filters, const Event& event, const std::string& type) {
    if (!filters.has(type))
        return true;
    return event.type == type &&
           (filters.allows_prefix(type, event.actor_id) || filters.allows(type, attribute(event, "name")));
}

bool allows(const Filters& filters, const Event& event) {
    // "health_status: healthy" and "exec_create: ls" are found by their first word too.
    const std::string action = event.action.substr(0, event.action.find(':'));
    const bool image_fits = !filters.has("image") || filters.allows("image", attribute(event, "image")) ||
                            allows_actor(filters, event, "image");
    return filters.allows("type", event.type) &&
           (filters.allows("event", event.action) || filters.allows("event", action)) &&
           allows_actor(filters, event, "container") && allows_actor(filters, event, "network") &&
           allows_actor(filters, event, "volume") && image_fits && filters.allows("scope", "local") &&
           filters.allows_labels(event.attributes);
}

/// As in `docker ps`: what happens to system containers is shown to those who ask for them.
bool shows_system(const Call& call, const Filters& filters) {
    const auto& labels = filters.values("label");
    return call.caller.may_change_system || std::any_of(labels.begin(), labels.end(), [](const std::string& label) {
               return label.starts_with("atoll.system");
           });
}

void events(Call& call) {
    const Filters filters = Filters::parse(call.request.query_value("filters"));
    filters.expect({"config", "container", "daemon", "event", "image", "label", "network", "node", "plugin", "scope",
                    "secret", "service", "type", "volume"});
    const auto since = parse_timestamp(call.request.query_value("since"), "since");
    const auto until = parse_timestamp(call.request.query_value("until"), "until");
    const bool with_system = shows_system(call, filters);
    // Subscribed before the past is read: an event between is in both, and told once.
    EventSubscription subscription = call.context.engine.subscribe();
    std::optional<TimePoint> told_until;
    call.response.begin(200, "application/json");
    const auto tell = [&](const Event& event) {
        if ((!event.system || with_system) && allows(filters, event))
            call.response.write(json::serialize(event_json(event)) + "\n");
    };
    if (since) {
        for (const Event& event : call.context.engine.recent_events()) {
            told_until = event.time;
            if (event.time >= *since && (!until || event.time <= *until))
                tell(event);
        }
    }
    while (!call.ended() && !(until && std::chrono::system_clock::now() > *until)) {
        const auto event = subscription.next(look_interval);
        if (event && !(told_until && event->time <= *told_until) && !(until && event->time > *until))
            tell(*event);
    }
    call.response.end();
}

} // namespace

void add_event_routes(Router& router) {
    router.add("GET", "events", events);
}

} // namespace engine::api
