// A Docker Engine API in memory, over real HTTP on a unix socket: what the agent asks of an engine, and switches to
// make it fail.
#pragma once
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/http/server.hpp"

namespace fleet_test {

class FakeDocker {
public:
    struct Container {
        std::string id;
        std::string name;
        std::string body; ///< of its creation
        std::string image;
        std::string state = "created";
        std::string health;
        int exit_code = 0;
        unsigned starts = 0;
    };

    explicit FakeDocker(const std::string& path);
    void stop() { server_.stop(); }

    // Switches and looks, from any thread.
    void set(const std::string& name, const std::string& state, const std::string& health = {}, int exit_code = 0);
    Container get(const std::string& name) const; ///< throws std::out_of_range
    std::size_t count() const;
    void add_image(const std::string& image);
    void add_to_registry(const std::string& image);
    /// Refuses `verb` (create, start, stop, remove) with this message; empty: no more.
    void refuse(const std::string& verb, const std::string& message);
    /// What was done: "create fleet-web-0", "start fleet-web-0" ...
    std::vector<std::string> log() const;
    /// Makes a container that is not a fleet's, or another fleet's.
    void add_foreign(const std::string& name, const std::string& labels_json);

private:
    void route(base::http::Request& request, base::http::Response& response);
    void container_call(base::http::Request& request, base::http::Response& response, const std::string& rest);
    void create(base::http::Request& request, base::http::Response& response);
    void image_call(base::http::Request& request, base::http::Response& response, const std::string& rest);
    void check_refused(const std::string& verb) const;
    Container& find(const std::string& id);
    std::string describe(const Container& container) const;
    std::string add(Container container);

    mutable std::mutex mutex_;
    std::map<std::string, Container> containers_; ///< by name
    std::set<std::string> images_;
    std::set<std::string> registry_;
    std::map<std::string, std::string> refused_;
    std::vector<std::string> log_;
    unsigned next_id_ = 1;
    base::http::Server server_;
};

} // namespace fleet_test
