// A whole engined of its own, as a process: own mount, network and host name, own directories and cgroup. Needs root.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/files.hpp"
#include "base/http/client.hpp"
#include "base/process.hpp"

namespace test {

class EnginedRig {
public:
    EnginedRig();
    ~EnginedRig(); ///< stops engined, which stops its containers
    EnginedRig(const EnginedRig&) = delete;
    EnginedRig& operator=(const EnginedRig&) = delete;

    void start();
    /// Kills engined alone; its containers go on.
    void kill();

    /// Runs the docker client against docker.sock; killed after 60 s.
    base::RunResult docker(std::vector<std::string> arguments, const std::string& input = {}) const;
    /// The same, which must succeed; its output without the last line break.
    std::string docker_ok(std::vector<std::string> arguments, const std::string& input = {}) const;
    /// A request to docker.sock or engine.sock.
    base::http::ClientResponse request(const std::string& method, const std::string& target,
                                       const std::string& body = {}, bool root_socket = false) const;
    /// Polls until it is true; fails the test after 30 s.
    void wait_until(const std::string& what, const std::function<bool()>& is_so) const;

    base::TempDir directory{"engined-test"};
    /// Read at `start`: goes into the file --host-config names when it is not empty.
    std::string host_config;
    /// Written before `start`.
    void add_service(const std::string& name, const std::string& yaml) const;
    /// An image with busybox and its usual names, BUSYBOX:1 in a docker-archive.
    std::string busybox_archive() const { return directory / "busybox.tar"; }
    std::string log() const { return base::read_file(directory / "engined.log"); }

private:
    void make_busybox_archive() const;
    std::string cgroup_;
    base::Child engined_;
};

} // namespace test
