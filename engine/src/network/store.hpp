// What Networks remembers on disk.
#pragma once
#include <string>
#include <vector>

#include "engine/network.hpp"

namespace engine::network {

std::string encode_definitions(const std::vector<NetworkDefinition>& networks);
/// Throws base::Error naming `name`.
std::vector<NetworkDefinition> decode_definitions(std::string_view text, const std::string& name);

std::string encode_endpoints(const std::vector<NetworkEndpoint>& endpoints);
std::vector<NetworkEndpoint> decode_endpoints(std::string_view text, const std::string& name);

} // namespace engine::network
