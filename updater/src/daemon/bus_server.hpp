// org.atoll.Updater1 on a unix socket, D-Bus peer to peer: no bus daemon, every client has a connection of its own.
// Six methods of org.freedesktop.DBus are answered as well, so that busctl and gdbus work with --address=.
// Everybody may read; what changes something is for uid 0.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
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
    std::uint64_t next_window = 0;           ///< seconds since 1970; 0: none
    std::vector<std::string> notes;
    BusProgress progress;
};

/// Answers one call, at once or later; an error when it is dropped unanswered.
class BusReply {
public:
    virtual ~BusReply() = default;
    virtual void ok(const std::string& text) = 0;
    /// `name`: last part of the D-Bus error's name, see BusError.
    virtual void error(const std::string& message, const char* name = "Failed") = 0;
};

/// A refusal that a program can tell from others: org.atoll.Updater1.Error.NAME.
class BusError : public base::Error {
public:
    BusError(const char* name, const std::string& message) : Error(message), name_(name) {}
    const char* name() const noexcept { return name_; }

private:
    const char* name_;
};
inline constexpr const char* error_busy = "Busy";               ///< something else is being done; try again later
inline constexpr const char* error_not_found = "NotFound";      ///< no such deployment
inline constexpr const char* error_invalid = "InvalidArgument"; ///< cannot be done in any state
inline constexpr const char* error_wrong_state = "WrongState";  ///< not in the state the updater is in

struct BusCall {
    std::string method;
    std::vector<std::string> arguments;                    ///< strings before the a{sv}
    std::map<std::string, bool> options;                   ///< of the a{sv} argument: those of type b
    std::map<std::string, std::vector<std::string>> lists; ///< of type as
    std::map<std::string, std::uint64_t> numbers;          ///< of type t
    std::shared_ptr<BusReply> reply;
    bool option(const std::string& name) const {
        const auto found = options.find(name);
        return found != options.end() && found->second;
    }
    /// Empty when there are fewer.
    std::string argument(std::size_t index) const { return index < arguments.size() ? arguments[index] : ""; }
    std::vector<std::string> list(const std::string& name) const {
        const auto found = lists.find(name);
        return found == lists.end() ? std::vector<std::string>{} : found->second;
    }
};

class BusServer {
public:
    BusServer(EventLoop& loop, const std::string& socket_path, std::function<BusView()> view,
              std::function<void(const BusCall&)> handler);
    ~BusServer();

    void state_changed(const std::string& before, const std::string& after);
    void progress_changed(const BusProgress& progress);
    /// Tells everybody which properties have changed since this was called last.
    void publish();

    struct Impl;

private:
    std::unique_ptr<Impl> impl_;
};

} // namespace updater
