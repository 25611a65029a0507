// --log: callers such as podman and containerd read a command's error from there, and warnings: standard error of
// create and run is the container's.
#pragma once
#include <string>

namespace ocirun {

struct ErrorLog {
    std::string path; ///< empty: none
    bool json = false;

    /// One line at the end of the file, as runc and crun write it. What fails here is not reported: the message goes
    /// to standard error as well.
    void write(const std::string& message, const char* level = "error") const noexcept;
};

} // namespace ocirun
