// What the agent asks of the container engine.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "fleetd/reconciler.hpp"

namespace fleet {

/// No answer: nothing is known about the containers.
class EngineUnreachable : public base::Error {
public:
    using Error::Error;
};

/// Not for several threads at once. The engine's refusals throw base::Error with its words, silence EngineUnreachable.
class EngineApi {
public:
    virtual ~EngineApi() = default;
    virtual std::string version() = 0;
    /// Containers with a fleet's labels, running or not.
    virtual std::vector<ObservedContainer> containers() = 0;
    virtual bool has_image(const std::string& image) = 0;
    virtual void pull(const std::string& image) = 0;
    /// Makes the container of a replica, labelled with its unit, number, hash, launch and the store's id.
    virtual std::string create(const Unit& unit, unsigned replica, const std::string& store) = 0;
    virtual void start(const std::string& container) = 0;
    virtual void stop(const std::string& container) = 0;
    virtual void remove(const std::string& container) = 0;
    /// The last `lines` lines of its output.
    virtual std::string logs(const std::string& container, unsigned lines) = 0;
};

using EngineFactory = std::function<std::unique_ptr<EngineApi>()>;

/// "fleet-web-0"
std::string container_name(const std::string& unit, unsigned replica);

/// The Docker Engine API 1.41 at `address` ("unix:/run/atoll/docker.sock").
std::unique_ptr<EngineApi> connect_docker_engine(const std::string& address);

} // namespace fleet
