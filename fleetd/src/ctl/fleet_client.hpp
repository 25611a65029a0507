// fleetctl's side of the API /v1.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/http/client.hpp"
#include "fleetd/model.hpp"

namespace fleet {

struct UnitStatus {
    std::string name;
    std::string desired; ///< as fleetd says it; "destroyed" while containers are left
    std::string image;
    std::string hash;
    std::string error;
    Revision revision = 0;
    bool converged = false;
    std::vector<ReplicaStatus> replicas;
};

struct HostStatus {
    std::string id;
    std::string name;
    std::string version;
    std::string state;
    std::string engine;
    std::string engine_error;
    std::int64_t replicas = 0;
    std::int64_t running = 0;
    std::vector<std::string> foreign_containers;
};

struct SubmitResult {
    bool created = false;
    bool changed = false;
};

/// Where fleetd is. Of the command line, else the environment, else the local socket.
struct FleetAddress {
    std::string address;
    std::optional<base::TlsFiles> tls;
};

/// Every refusal is a base::Error with fleetd's words.
class FleetClient {
public:
    explicit FleetClient(const FleetAddress& address) : client_(address.address, address.tls) {}

    SubmitResult submit(const std::string& name, const std::string& source, const std::string& file,
                        std::optional<Desired> desired);
    void set_desired(const std::string& name, Desired desired);
    void destroy(const std::string& name);
    std::string source(const std::string& name);
    /// nullopt: there is no such unit.
    std::optional<UnitStatus> status(const std::string& name);
    std::vector<UnitStatus> units();
    std::vector<HostStatus> hosts();
    std::string logs(const std::string& name, unsigned replica, unsigned lines);
    /// The answer to a GET as it is, for --json.
    std::string raw(const std::string& path);

private:
    std::string expect_ok(const std::string& method, const std::string& path, const std::string& body = {});
    base::http::Client client_;
};

} // namespace fleet
