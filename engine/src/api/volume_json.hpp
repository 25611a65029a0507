// Volumes as JSON, and who uses them. Heavy: for .cpp files only.
#pragma once
#include "api/json_answer.hpp"
#include "api/volume_store.hpp"

namespace engine::api {

json::object volume_json(const Volume& volume);
/// Ids of the containers, stopped ones too, that have it mounted.
std::vector<std::string> containers_using(const Context& context, const std::string& volume);

} // namespace engine::api
