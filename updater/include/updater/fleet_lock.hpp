// Client of the FleetLock protocol, version 1: a semaphore that lets only so many machines of a group reboot at a time.
// Both operations are recursive: asking again for what one has is no error.
// https://coreos.github.io/zincati/development/fleetlock/protocol/
#pragma once
#include <string>
#include <string_view>

#include "base/host_config.hpp"

namespace updater {

struct LockAnswer {
    bool granted = false;
    std::string reason; ///< why not: "kind: value" of the server, or its HTTP status
};

enum class LockRequest { pre_reboot, steady_state };

/// The `id` of the configuration, or a name made from the machine id that tells nothing of it.
std::string lock_id(const base::RebootLock& lock, std::string_view machine_id);
/// The JSON of a request.
std::string lock_body(const base::RebootLock& lock, const std::string& id);
/// What a response other than 200 says.
std::string lock_refusal(long status, std::string_view body);

/// `ca`: file of the authorities that may vouch for the server; empty: the system's. Throws base::Error when the server
/// gives no HTTP answer.
LockAnswer ask_lock(const base::RebootLock& lock, LockRequest request, const std::string& id, const std::string& ca);

} // namespace updater
