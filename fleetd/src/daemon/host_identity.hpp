// Who this host is in the fleet.
#pragma once
#include "fleetd/model.hpp"

namespace fleet {

/// The id is made once and kept in `directory`/host-id; the name is the host's.
Host load_host_identity(const std::string& directory);

} // namespace fleet
