// Limits of a cgroup as properties of a systemd unit.
#pragma once
#include <systemd/sd-bus.h>

#include <string>
#include <string_view>

namespace ocirun_systemd {

/// Throws base::Error(operation) when `result`, of a function of libsystemd's, is negative.
int check_bus(int result, const std::string& operation);

/// Appends the property that `write` ("memory.max=1048576", a write into the unit's cgroup) is; nothing when systemd
/// has none. Throws base::Error for a value that is none.
void append_limit(sd_bus_message* message, std::string_view write);

} // namespace ocirun_systemd
