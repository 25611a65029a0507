// A revision that is not known good has a deadline.
#pragma once
#include <cstdint>
#include <string_view>

#include "clock.hpp"
#include "kernel_arguments.hpp"
#include "log_ring.hpp"
#include "text.hpp"

namespace init {

inline constexpr const char* grubenv_path = "/boot/grub/grubenv";

/// The longest trial an updater may ask for.
inline constexpr std::uint64_t max_trial_seconds = UINT64_C(48) * 3600;

class Trial {
public:
    /// On trial when `atoll.rev` is not `ok` in the block. A machine without atoll.rev, without a readable block, or
    /// with atoll.trial=0 is not judged: rebooting it would not lead anywhere else.
    void begin(const KernelArguments& arguments, std::string_view grubenv) noexcept;
    /// Reads grubenv_path, then as above.
    void begin(const KernelArguments& arguments) noexcept;

    bool on_trial() const noexcept { return deadline_ != never; }
    /// When the revision is given up, counted from the start of the kernel; `never` when not on trial.
    Msec deadline() const noexcept { return deadline_; }
    Msec length() const noexcept { return length_; }
    std::string_view revision() const noexcept { return revision_.view(); }

    /// The updater is there and judges: what counts from now on is its own deadline with a margin, in seconds since the
    /// kernel started, not `atoll.trial`. False when nothing is on trial or the time is none.
    bool extend(std::uint64_t seconds) noexcept;
    /// False when `revision` is not the booted one.
    bool good(std::string_view revision) noexcept;
    /// Nobody is judged any more (a person is at the console, or the machine goes down anyway).
    void end() noexcept { deadline_ = never; }

private:
    Text<32> revision_;
    Msec deadline_ = never;
    Msec length_ = 0;
};

/// Writes last_failure_path, durably, with the last lines of the log. A failure is logged.
void write_failure_note(std::string_view revision, std::string_view reason, const LogRing& log) noexcept;
/// The text of it.
void format_failure_note(std::string_view revision, std::string_view reason, Msec uptime, const LogRing& log,
                         TextBuffer& note) noexcept;

} // namespace init
