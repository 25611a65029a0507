// Our nftables table as the document that `nft -j -f -` takes.
#pragma once
#include <string>
#include <vector>

#include "engine/network.hpp"

namespace engine::network {

/// The whole table, replaced in one transaction: there is never a moment with half of the rules. Networks that have no
/// endpoints are left out. The order of the arguments' elements is kept, so equal input gives equal text.
std::string ruleset(const std::string& table, const std::vector<NetworkDefinition>& networks,
                    const std::vector<NetworkEndpoint>& endpoints);

/// The table's removal; no error when there is none.
std::string removal(const std::string& table);

/// Of `nft -j list ruleset`: rules of others that drop what is forwarded, which our accept cannot override; one text
/// each ("table ip filter, chain FORWARD: policy drop").
std::vector<std::string> foreign_forward_drops(const std::string& listing, const std::string& own_table);

} // namespace engine::network
