// `update`: the options as the document that --resources takes.
#pragma once
#include <string>

#include "ocirun/command_line.hpp"

namespace ocirun {

struct UpdateRequest {
    std::string document; ///< linux.resources
    std::string name;     ///< where it comes from, for messages
};

/// Reads --resources, or makes the document of the other options. Throws base::UsageError when there are none or both.
UpdateRequest update_request(const Arguments& arguments);

} // namespace ocirun
