// Kills updaterd or updater-worker at a named point (base/fault_point.hpp). The programs of these tests are what ships,
// with the hook set; what ships cannot set it. UPDATER_FAULTS names a directory:
//   armed   "POINT process" or "POINT machine": whoever passes the point first is killed there, or with it everybody of
//           its process group, as in a power cut; the file goes then
//   trace   every point that is passed, one a line. Each program holds a shared lock on it while it lives.
#pragma once

namespace updater_test {

/// Sets the hook when UPDATER_FAULTS is there.
void arm_faults() noexcept;

} // namespace updater_test
