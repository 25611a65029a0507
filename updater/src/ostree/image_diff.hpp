// Two images compared: their packages by the list that mkimage leaves in each (/usr/lib/atoll/packages, "name version"
// a line), and their files by their objects.
#pragma once
#include <map>
#include <string>

#include "base/json.hpp"
#include "repository.hpp"

namespace updater {

/// {"packages":{"listed":true,"added":[{"name","version"}],"removed":[...],"changed":[{"name","from","to"}]},
///  "files":{"added":[...],"removed":[...],"modified":[...],"cut":false}}; lists of files have at most `limit` entries.
base::json::object diff_images(const Repository& repository, const std::string& from, const std::string& to,
                               std::size_t limit);

/// Name to version. Lines that are not two words are skipped.
std::map<std::string, std::string> parse_package_list(std::string_view text);

} // namespace updater
