// updaterd as a program: its command line. Apart from main(), so that a test can build it with its fault points armed.
#pragma once

namespace updater {

/// Returns the exit code.
int run_updaterd(int argc, char** argv);

} // namespace updater
