// The states of an update, from looking for one to having judged it.
//
//                check          newer, signed        content here        objects checked
//   resting ------------> checking ------> downloading ------> verifying ------> staged
//    ^  ^                    |                  |                  |               |
//    |  +--------------------+------------------+------------------+               | finalised at shutdown,
//    |            ended: nothing newer, refused, failed, interrupted               | or rollback written
//    |                                                                             v
//    +------- good <------------ trying <--------- boot on trial --------- rebooting
//    |          ^                  |                                           |
//    |          +- boot good       | judged bad: receipt, reboot               |
//    |                             v                                           |
//    +------- rolled_back <-- boot fell back <---------------------------------+
//
// Resting states are idle (nothing judged yet), good, rolled_back and staged; all four accept `check`. A boot event is
// accepted in every state: a power cut can come in any of them. The state is on disk before what it stands for begins,
// so that a daemon that starts again knows what was cut off.
#pragma once
#include <optional>
#include <string_view>

namespace updater {

enum class State { idle, checking, downloading, verifying, staged, rebooting, trying, good, rolled_back };

enum class Event {
    check,            ///< somebody asks for an update
    update_found,     ///< a newer commit with enough good signatures
    content_complete, ///< every object is here
    staged_local,     ///< content that was here already is to be deployed: other kernel arguments, another release
    content_verified, ///< every object that came was read again and is right: it is staged
    ended,            ///< check, download or verification ended without a new staged update
    order_written,    ///< boot entries were written (finalise, rollback): the next boot is another deployment
    order_reverted,   ///< the pending change of boot entries was taken back
    dropped,          ///< the staged update was given up
    boot_on_trial,    ///< booted a revision that is not known good
    boot_good,        ///< booted a revision that is known good
    boot_fell_back,   ///< booted the known good revision because the newer one failed
    judged_good,      ///< the revision on trial was found good
};

/// The state after `event`, or nullopt when it is not allowed in `state`. `resting` is where a job that ends without
/// result goes back to: staged when an update is staged, otherwise the last judgement.
std::optional<State> next_state(State state, Event event, State resting) noexcept;

bool is_resting(State state) noexcept;
/// A worker is looking for, fetching or checking an update.
bool is_busy(State state) noexcept;

std::string_view to_string(State state) noexcept;
std::string_view to_string(Event event) noexcept;
std::optional<State> state_from_string(std::string_view text) noexcept;

} // namespace updater
