// Names of updaterd's D-Bus API.
#pragma once

namespace updater::bus {

inline constexpr const char* interface = "org.atoll.Updater1";
inline constexpr const char* object_path = "/org/atoll/Updater1";

} // namespace updater::bus
