// The program: parses a command line, does it, and returns the exit code.
#pragma once

namespace ocirun {

int run_program(int argc, char** argv) noexcept;

} // namespace ocirun
