// Images by the names that clients use, and their events.
#pragma once
#include <string>

#include "api/call.hpp"

namespace engine::api {

/// Throws HttpError: 404 "No such image: NAME:latest", 400 for an id prefix that fits several.
ImageRecord require_image(const Context& context, const std::string& name);
/// "docker.io/library/busybox:1" -> "busybox:1"
std::string familiar(const std::string& canonical);
std::vector<std::string> familiar_names(const std::vector<std::string>& names);
/// Tells subscribers: "load", "tag", "untag", "delete", "pull".
void publish_image_event(Context& context, const std::string& action, const std::string& id, const std::string& name);
/// HTTP status of what the image store throws: full disk and broken hardware are ours, the rest the client's.
unsigned image_error_status(const base::Error& error);

} // namespace engine::api
