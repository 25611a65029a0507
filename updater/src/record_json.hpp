// JSON of the record's parts, shared by the state file, the history and the status document.
#pragma once
#include "base/json.hpp"
#include "updater/record.hpp"

namespace updater {

base::json::object release_to_json(const Release& release);
Release release_from_json(const std::optional<base::JsonObject>& object);
/// One result of updater-worker's watch-checks.
base::json::object check_to_json(const CheckResult& result);
CheckResult check_from_json(const base::JsonObject& object);
base::json::object receipt_to_json(const Receipt& receipt);
base::json::object staged_to_json(const StagedUpdate& staged);
base::json::object notes_to_json(const MergeNotes& notes);
/// The same for people, a line each.
std::vector<std::string> notes_to_lines(const MergeNotes& notes);

} // namespace updater
