// The Docker Engine API's documents that we write and read.
#pragma once
#include <string>

#include "daemon/engine_api.hpp"

namespace fleet {

/// The body of POST containers/create.
std::string create_body(const Unit& unit, unsigned replica, const std::string& store);

/// The engine's version in GET version.
std::string parse_version(const std::string& text);

/// The ids of GET containers/json.
std::vector<std::string> parse_container_ids(const std::string& text);

/// Of GET containers/ID/json. Labels that are not a fleet's give an empty `unit`.
ObservedContainer parse_container(const std::string& text);

/// The error in the stream of POST images/create (which has status 200 all the same); empty: it went well.
std::string pull_error(const std::string& text);

/// {"message": "..."}, or the text itself.
std::string error_message(const std::string& text);

/// The payload of Docker's multiplexed log stream: frames of {stream, 0, 0, 0, u32 length} and data. Broken-off or
/// unframed data is taken as it is.
std::string demultiplex(std::string_view stream);

} // namespace fleet
