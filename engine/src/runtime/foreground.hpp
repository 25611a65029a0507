// A process in the foreground: signals are passed on, the terminal is relayed, the exit code comes back.
#pragma once
#include <signal.h>

#include "base/unique_fd.hpp"
#include "runtime/launch.hpp"

namespace engine::runtime {

/// Blocks every signal that can be passed on, from before the process is made so that none is lost, and reads them as
/// a descriptor. The mask is restored with the owner; children reset theirs.
class SignalForwarder {
public:
    explicit SignalForwarder(bool active);
    ~SignalForwarder();
    SignalForwarder(const SignalForwarder&) = delete;
    SignalForwarder& operator=(const SignalForwarder&) = delete;
    int fd() const noexcept { return fd_.get(); }

private:
    bool active_;
    sigset_t previous_{};
    base::UniqueFd fd_;
};

/// Until the process has ended and was reaped; returns its exit code, or 128 and the signal.
int attend(Launched& process, const SignalForwarder& signals);

} // namespace engine::runtime
