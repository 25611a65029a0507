// EtcReport as JSON. Lists are cut: a host with a hundred thousand files in /etc must not fill a message.
#pragma once
#include "base/json.hpp"
#include "updater/etc_report.hpp"

namespace updater {

base::json::array limited(const std::vector<std::string>& list);
base::json::object to_json(const EtcReport& report);

} // namespace updater
