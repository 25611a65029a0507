#include "fleetd/store.hpp"

namespace fleet {

Revision Store::put(const std::string& key, std::string value, Lifetime lifetime) {
    return commit({}, {{key, std::move(value), lifetime}}).value();
}

std::optional<Revision> Store::compare_and_swap(const std::string& key, Revision expected, std::string value) {
    return commit({{key, expected}}, {{key, std::move(value), Lifetime::durable}});
}

} // namespace fleet
