// Writes placements: the scheduler's decisions. One in a fleet; with one host, that host's.
#pragma once
#include <atomic>
#include <map>
#include <string>
#include <thread>

#include "daemon/input_watch.hpp"
#include "fleetd/store.hpp"

namespace fleet {

class Leader {
public:
    explicit Leader(Store& store) : store_(store), watch_(store) {}
    ~Leader() { stop(); }
    void start();
    void stop() noexcept;
    /// One look at the fleet. False when somebody changed a unit meanwhile: look again.
    bool turn();

private:
    void run();
    Store& store_;
    InputWatch watch_;
    std::map<std::string, std::string> told_; ///< of units that cannot be read
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

} // namespace fleet
