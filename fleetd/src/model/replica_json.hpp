// A replica's report as a JSON object: in the store and in the API's answers alike. Include in .cpp files only.
#pragma once
#include "base/json.hpp"
#include "fleetd/model.hpp"

namespace fleet {

base::json::object replica_to_json(const ReplicaReport& replica);
ReplicaReport replica_from_json(const base::JsonObject& object);

} // namespace fleet
