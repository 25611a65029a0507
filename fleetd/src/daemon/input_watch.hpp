// Waits until what the fleet wants may have changed; what hosts report does not count.
#pragma once
#include "fleetd/store.hpp"

namespace fleet {

class InputWatch {
public:
    explicit InputWatch(Store& store);
    /// Returns after a change, after `timeout`, or after `wake`.
    void wait(std::chrono::milliseconds timeout);
    /// From any thread.
    void wake() noexcept { watch_->interrupt(); }

private:
    std::unique_ptr<Watch> watch_;
};

} // namespace fleet
