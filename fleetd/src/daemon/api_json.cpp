#include "daemon/api_json.hpp"

#include "base/config_reader.hpp"
#include "model/records.hpp"
#include "model/replica_json.hpp"

namespace fleet {
namespace {

namespace json = base::json;

void refuse_unknown(const base::JsonObject& body, std::initializer_list<std::string_view> known) {
    for (const auto& member : body.raw()) {
        if (std::find(known.begin(), known.end(), std::string_view(member.key())) == known.end())
            throw base::Error(fmt::format("body: unknown key {}", std::string_view(member.key())));
    }
}

Desired desired_of(const base::JsonObject& body) {
    const auto desired = parse_desired(body.required_string("desired"));
    if (!desired)
        throw base::Error("body: desired: expected inactive, loaded or launched");
    return *desired;
}

json::object status_object(const FleetSnapshot& fleet, const std::string& name) {
    json::object object{{"name", name}};
    bool converged = true;
    json::array replicas;
    for (const ReplicaStatus& status : unit_status(fleet, name)) {
        json::object replica = replica_to_json(status.report);
        replica.erase("unit");
        replica["host"] = status.host;
        replica["host_name"] = status.host_name;
        replica["current"] = status.current;
        replicas.push_back(std::move(replica));
        converged = converged && status.report.converged;
    }
    const auto unit = fleet.units.find(name);
    const auto unreadable = fleet.unreadable.find(name);
    if (unreadable != fleet.unreadable.end()) {
        object["desired"] = "unknown";
        object["error"] = "this release cannot read its record and leaves its containers alone: " + unreadable->second;
        converged = false;
    } else if (unit == fleet.units.end()) {
        object["desired"] = "destroyed";
    } else {
        object["desired"] = to_string(unit->second.desired);
        object["hash"] = unit->second.hash;
        object["image"] = unit->second.spec.image;
        object["revision"] = unit->second.revision();
    }
    object["converged"] = converged;
    object["replicas"] = std::move(replicas);
    return object;
}

json::value spec_value(const UnitSpec& spec) {
    return json::parse(serialize_spec(spec));
}

} // namespace

SubmitBody parse_submit_body(const std::string& text) {
    const json::value value = base::parse_json(text, "body");
    const base::JsonObject body(value, "body");
    refuse_unknown(body, {"source", "file", "spec", "desired"});
    if (body.has("source") == body.has("spec"))
        throw base::Error("body: expected either source or spec");
    SubmitBody submit;
    if (body.has("desired"))
        submit.desired = desired_of(body);
    if (body.has("source")) {
        submit.source = body.string("source");
        submit.spec = parse_unit(submit.source, body.string("file", "unit"));
    } else {
        // JSON as we write it is YAML too: one reader has all rules.
        submit.source = json::serialize(body.raw().at("spec"));
        submit.spec = parse_unit(submit.source, "spec");
    }
    return submit;
}

Desired parse_desired_body(const std::string& text) {
    const json::value value = base::parse_json(text, "body");
    const base::JsonObject body(value, "body");
    refuse_unknown(body, {"desired"});
    return desired_of(body);
}

std::string unit_list_json(const FleetSnapshot& fleet) {
    std::set<std::string> names;
    for (const auto& [name, reason] : fleet.unreadable)
        names.insert(name);
    for (const auto& [name, unit] : fleet.units)
        names.insert(name);
    // Destroyed ones that still have containers are listed until those are gone.
    for (const auto& [host, report] : fleet.reports) {
        for (const ReplicaReport& replica : report.replicas)
            names.insert(replica.unit);
    }
    json::array units;
    for (const std::string& name : names)
        units.push_back(status_object(fleet, name));
    return json::serialize(json::object{{"revision", fleet.revision}, {"units", std::move(units)}});
}

std::string unit_json(const Unit& unit) {
    return json::serialize(json::object{{"name", unit.spec.name},
                                        {"desired", to_string(unit.desired)},
                                        {"revision", unit.revision()},
                                        {"hash", unit.hash},
                                        {"spec", spec_value(unit.spec)},
                                        {"source", unit.source}});
}

std::string unit_status_json(const FleetSnapshot& fleet, const std::string& name) {
    return json::serialize(status_object(fleet, name));
}

std::string host_list_json(const FleetSnapshot& fleet) {
    json::array hosts;
    for (const auto& [id, host] : fleet.hosts) {
        json::object object{{"id", id}, {"name", host.name}, {"version", host.version}};
        const auto found = fleet.reports.find(id);
        const HostReport report = found == fleet.reports.end() ? HostReport{} : found->second;
        const char* state = "ready";
        if (found == fleet.reports.end())
            state = "starting";
        else if (!report.engine_error.empty())
            state = "engine unreachable";
        object["state"] = state;
        object["engine"] = report.engine;
        object["engine_error"] = report.engine_error;
        object["replicas"] = report.replicas.size();
        object["running"] = std::count_if(report.replicas.begin(), report.replicas.end(),
                                          [](const ReplicaReport& replica) { return replica.state == "running"; });
        json::array foreign;
        for (const std::string& name : report.foreign)
            foreign.emplace_back(name);
        object["foreign_containers"] = std::move(foreign);
        hosts.push_back(std::move(object));
    }
    return json::serialize(json::object{{"hosts", std::move(hosts)}});
}

std::string submitted_json(const std::string& name, Revision revision, bool created, bool changed) {
    return json::serialize(
        json::object{{"name", name}, {"revision", revision}, {"created", created}, {"changed", changed}});
}

std::string problems_json(const std::string& message, const std::vector<std::string>& problems) {
    json::array list;
    for (const std::string& problem : problems)
        list.emplace_back(problem);
    return json::serialize(json::object{{"message", message}, {"problems", std::move(list)}});
}

} // namespace fleet
