// updater-worker as a program, see updaterd_program.hpp.
#pragma once

namespace updater {

/// Returns the exit code.
int run_worker_program(int argc, char** argv);

} // namespace updater
