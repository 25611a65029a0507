// Atoll's own part of the API: health and services.
#include "api/json_answer.hpp"
#include "api/routes.hpp"

namespace engine::api {
namespace {

void health(Call& call) {
    const HealthReport report = call.context.engine.health();
    json::array services;
    for (const ServiceStatus& service : report.services)
        services.push_back(json::object{{"name", service.name},
                                        {"required", service.required},
                                        {"state", service.state},
                                        {"health", service.health},
                                        {"restarts", service.restarts},
                                        {"detail", service.detail},
                                        {"container", service.container}});
    send_json(call, 200, json::object{{"healthy", report.healthy}, {"services", std::move(services)}});
}

void restart_service(Call& call) {
    call.context.engine.restart_service(call.parameter(), call.caller);
    send_nothing(call);
}

} // namespace

void add_atoll_routes(Router& router) {
    router.add("GET", "atoll/v1/health", health);
    router.add("POST", "atoll/v1/services/{}/restart", restart_service);
}

} // namespace engine::api
