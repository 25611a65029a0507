// updaterd's JSON as text for people.
#pragma once
#include <string>

namespace updater {

std::string render_status(const std::string& json_text);
std::string render_history(const std::string& json_text);
std::string render_diff(const std::string& json_text);
std::string render_etc_diff(const std::string& json_text);
std::string render_boot_loader(const std::string& json_text);
/// "2026-11-21 11:40:12", UTC.
std::string render_time(std::int64_t seconds);

} // namespace updater
