// The agent of a host: looks at its containers, carries out what the reconciler says, reports.
//
// It never acts on missing information: when the store or the engine does not answer, nothing is started, stopped or
// removed, and the report says so.
#pragma once
#include <atomic>
#include <thread>

#include "daemon/engine_api.hpp"
#include "daemon/image_puller.hpp"
#include "daemon/input_watch.hpp"

namespace fleet {

class Agent {
public:
    Agent(Store& store, Host host, EngineFactory connect);
    ~Agent() { stop(); }
    void start();
    void stop() noexcept;

    /// Looks, reports, acts. Returns how long to wait before the next look, unless something changes.
    std::chrono::milliseconds turn(TimePoint now);

private:
    void run();
    void date(std::vector<ObservedContainer>& containers, TimePoint now);
    HostSnapshot look(const FleetSnapshot& fleet, TimePoint now);
    void report(const FleetSnapshot& fleet, Plan plan);
    void report_blind(const FleetSnapshot& fleet, const std::string& why);
    void publish(const HostReport& report);
    void carry_out(const HostSnapshot& host, const std::vector<Action>& actions);
    void remember(const HostSnapshot& host, const Action& action, const std::string& error);

    Store& store_;
    Host host_;
    EngineFactory connect_;
    InputWatch watch_;
    ImagePuller puller_;
    std::unique_ptr<EngineApi> engine_;
    std::string engine_version_; ///< empty: not connected
    std::map<Slot, Failure> failures_;
    std::map<std::string, Revision> known_; ///< units as of the last look
    /// Of a container that runs: when it was started, and when that was seen first.
    std::map<std::string, std::pair<std::string, TimePoint>> running_;
    unsigned blind_turns_ = 0;
    unsigned busy_turns_ = 0;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

} // namespace fleet
