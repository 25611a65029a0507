// docker container prune. Images, networks and volumes have theirs beside their other routes.
#include "api/directory_size.hpp"
#include "api/filters.hpp"
#include "api/json_answer.hpp"
#include "api/routes.hpp"
#include "api/time_text.hpp"
#include "base/log.hpp"

namespace engine::api {
namespace {

bool removable(const ContainerInfo& info, const Filters& filters) {
    const Status status = info.state.status;
    if (info.system() || (status != Status::created && status != Status::exited && status != Status::dead))
        return false;
    for (const std::string& text : filters.values("until"))
        if (const auto time = parse_timestamp(text, "until"); time && info.created >= *time)
            return false;
    return filters.allows_labels(info.config->labels);
}

void prune(Call& call) {
    const Filters filters = Filters::parse(call.request.query_value("filters"));
    filters.expect({"label", "until"});
    json::array deleted;
    std::int64_t reclaimed = 0;
    for (const ContainerInfo& info : call.context.engine.list()) {
        if (!removable(info, filters))
            continue;
        const std::int64_t size = directory_size(info.directory + "/upper");
        try {
            call.context.engine.remove(info.id, false, call.caller);
            deleted.emplace_back(info.id);
            reclaimed += size;
        } catch (const EngineError& error) {
            // Started or removed by somebody else meanwhile.
            base::log_debug("prune: container kept id={} reason={}", info.id, error.what());
        }
    }
    send_json(call, 200, json::object{{"ContainersDeleted", std::move(deleted)}, {"SpaceReclaimed", reclaimed}});
}

} // namespace

void add_prune_routes(Router& router) {
    router.add("POST", "containers/prune", prune);
}

} // namespace engine::api
