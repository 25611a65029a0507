// A FleetLock server on loopback with one slot.
#pragma once
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"

namespace updater_test {

class LockServer {
public:
    LockServer();
    ~LockServer();
    std::string url() const;
    unsigned port() const noexcept { return port_; }
    /// Who has the slot; empty: nobody.
    std::string owner() const;
    void set_owner(const std::string& id);
    /// Requests that were no good, for the test to look at.
    std::vector<std::string> mistakes() const;
    unsigned requests() const;

private:
    void serve();
    void answer(int fd);
    base::UniqueFd listener_;
    unsigned port_ = 0;
    mutable std::mutex mutex_;
    std::string owner_;
    std::vector<std::string> mistakes_;
    unsigned requests_ = 0;
    std::thread thread_;
};

} // namespace updater_test
