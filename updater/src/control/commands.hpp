// updatectl's commands. Each prints its answer and returns the exit code; a failure is thrown.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "bus_client.hpp"
#include "updater/paths.hpp"

namespace updater::control {

struct Arguments {
    std::string socket = Paths{}.bus_socket;
    bool as_json = false;
    bool reboot = false;
    bool stage = false;
    bool force = false;
    bool allow_downgrade = false;
    bool ignore_rollout = false;
    bool staged = false;
    bool yes = false;
    std::uint64_t keep = 0; ///< 0: what the configuration says
    std::string name;       ///< a stream, release or deployment
    std::string second;
    std::vector<std::string> append, remove, replace;
};

// Looking for releases and choosing what boots next.
int check(const Arguments& arguments);
int upgrade(const Arguments& arguments);
int rebase(const Arguments& arguments);
int deploy(const Arguments& arguments);
int rollback(const Arguments& arguments);

// Deployments that are there.
int mark_good(const Arguments& arguments);
int pin(const Arguments& arguments);
int unpin(const Arguments& arguments);
int cleanup(const Arguments& arguments);
int kernel_arguments(const Arguments& arguments);
int reset(const Arguments& arguments);

// GRUB itself.
int boot_loader_status(const Arguments& arguments);
int boot_loader_update(const Arguments& arguments);

// Reading.
int status(const Arguments& arguments);
int history(const Arguments& arguments);
int diff(const Arguments& arguments);
int etc_diff(const Arguments& arguments);

/// Standard output, with a line end.
void print(const std::string& text);
/// Calls a method that may take long, and shows how far it is on standard error.
std::string call_with_progress(const Arguments& arguments, const std::string& method,
                               const std::vector<std::string>& words = {}, BusClient::Options options = {});

} // namespace updater::control
