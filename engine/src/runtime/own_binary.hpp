// Protection of the runtime's own file: a container's process can reach it as /proc/PID/exe, or by being told to
// execute /proc/self/exe, and open it for writing once nobody runs it (CVE-2019-5736).
#pragma once

namespace engine::runtime {

/// When the file is on a read-only mount (as on the OS this is made for), nothing has to be done. Else the program
/// runs itself again from a read-only, detached mount of its file, or where that cannot be made from a sealed copy in
/// memory. Returns when this process is protected; throws base::Error when it cannot be (fail closed).
void protect_own_binary(char* const* argv);

/// Inherited descriptors beyond standard error and the `preserve` after it are closed. Throws when one of those to
/// preserve is not open.
void close_inherited_descriptors(unsigned preserve);

} // namespace engine::runtime
