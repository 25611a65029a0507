// Stand-ins for engined's health API and for init's socket.
#pragma once
#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/http/server.hpp"
#include "base/unique_fd.hpp"

namespace updater_test {

class FakeEngine {
public:
    explicit FakeEngine(const std::string& socket);
    ~FakeEngine();
    /// What the one required service "network" says.
    void set(const std::string& state, const std::string& health);

private:
    std::string report() const;
    mutable std::mutex mutex_;
    std::string state_ = "running";
    std::string health_ = "healthy";
    base::http::Server server_;
};

/// Answers init's protocol, and remembers what was asked for.
class FakeInit {
public:
    explicit FakeInit(const std::string& socket);
    ~FakeInit();
    std::vector<std::string> good_revisions() const;
    std::vector<std::string> reboots() const;
    std::vector<std::uint64_t> trials() const; ///< seconds
    std::vector<std::uint64_t> boot_loader_jobs() const;
    /// Stands for the host's half of such a job.
    void on_boot_loader(std::function<void()> job);

private:
    void serve();
    base::UniqueFd listener_;
    mutable std::mutex mutex_;
    std::vector<std::string> good_;
    std::vector<std::string> reboots_;
    std::vector<std::uint64_t> trials_;
    std::vector<std::uint64_t> boot_loader_jobs_;
    std::function<void()> on_boot_loader_;
    std::thread thread_;
};

} // namespace updater_test
