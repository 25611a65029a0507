// org.atoll.Updater1 on a unix socket, D-Bus peer to peer: no bus daemon, every client has a connection of its own.
// Six methods of org.freedesktop.DBus are answered as well, so that busctl and gdbus work with --address=.
// Everybody may read; what changes something is for uid 0.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "event_loop.hpp"

namespace updater {

struct BusProgress {
    std::uint64_t bytes = 0;
    std::uint64_t total_bytes = 0; ///< 0: not known
    std::uint64_t objects = 0;
    std::uint64_t total_objects = 0;
};

/// The properties, by name in the D-Bus API.
struct BusView {
    std::map<std::string, std::string> text; ///< State, BootedVersion, ...
    BusProgress progress;
};

/// Answers one call, at once or later; an error when it is dropped unanswered.
class BusReply {
public:
    virtual ~BusReply() = default;
    virtual void ok(const std::string& text) = 0;
    virtual void error(const std::string& message) = 0;
};

struct BusCall {
    std::string method;
    std::map<std::string, bool> options; ///< of the a{sv} argument
    std::shared_ptr<BusReply> reply;
    bool option(const std::string& name) const {
        const auto found = options.find(name);
        return found != options.end() && found->second;
    }
};

class BusServer {
public:
    BusServer(EventLoop& loop, const std::string& socket_path, std::function<BusView()> view,
              std::function<void(const BusCall&)> handler);
    ~BusServer();

    void state_changed(const std::string& before, const std::string& after);
    void progress_changed(const BusProgress& progress);
    void properties_changed();

    struct Impl;

private:
    std::unique_ptr<Impl> impl_;
};

} // namespace updater
