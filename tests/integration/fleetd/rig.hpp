// engined, fleetd and fleetctl as they are installed, over directories of the test.
#pragma once
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/files.hpp"
#include "base/process.hpp"

namespace fleet_test {

class Rig {
public:
    Rig();
    ~Rig();

    void start_engine();
    void start_fleetd();
    /// As a crash does.
    void kill_engine();
    void kill_fleetd();
    /// As a shutdown does: every container is stopped.
    void shut_down();

    /// Runs fleetctl and returns what it said.
    base::RunResult fleetctl(const std::vector<std::string>& arguments, const std::string& input = {},
                             const std::vector<std::string>& environment = {}) const;
    /// Its output; fails the test, with what it said, unless it succeeds.
    std::string fleetctl_ok(const std::vector<std::string>& arguments, const std::string& input = {}) const;

    /// A GET of the engine's API: the body, or "" for any status but 200.
    static std::string engine(const std::string& path);
    static bool has_container(const std::string& name) {
        return !engine(fmt::format("/containers/{}/json", name)).empty();
    }
    static std::string container_id(const std::string& name);
    void load_image(const std::string& reference) const;
    /// What a GET of http://127.0.0.1:PORT/ gives; "" when nobody answers.
    static std::string fetch(unsigned port);
    /// Fails the test after 30 s.
    static void wait_until(const std::string& description, const std::function<bool()>& what);

    std::string write(const std::string& name, const std::string& text) const;
    const base::TempDir& directory() const noexcept { return directory_; }
    /// host.yaml with a TCP listener on this port, and a client's certificates in directory()/tls.
    void configure_tls(unsigned port) const;

private:
    base::TempDir directory_;
    base::Child engine_;
    base::Child fleetd_;
};

} // namespace fleet_test
