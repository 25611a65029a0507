// Ports of the host that are published: who has which, and that no program of the host takes one in between.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "engine/network.hpp"

namespace engine::network {

class HostPorts {
public:
    /// Chooses host ports where none is given and holds all of them for `owner` (an endpoint's id), or none: throws
    /// with Docker's words for the first that is taken.
    std::vector<PublishedPort> reserve(const std::string& owner, const std::string& container,
                                       std::vector<PublishedPort> ports);
    /// As `reserve`, for ports that were published before a restart: what a program of the host has taken meanwhile
    /// stays published, since translation comes before it.
    void adopt(const std::string& owner, const std::vector<PublishedPort>& ports);
    void release(const std::string& owner);

private:
    struct Held {
        std::string owner;
        PublishedPort port;
        /// Bound, never listening: connections are translated before they could arrive.
        base::UniqueFd socket;
    };
    bool conflicts(const PublishedPort& port) const;
    std::vector<Held> held_;
};

} // namespace engine::network
