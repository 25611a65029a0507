// What this boot means, worked out when updaterd starts, from what was recorded, GRUB's environment, the deployments
// and the booted revision. Pure: nothing is written here.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "updater/record.hpp"

namespace updater {

/// A deployment in boot order: the first is what GRUB tries first.
struct Deployment {
    Release release;
    std::int64_t timestamp = 0;
    bool booted = false;
    bool pinned = false;
    std::string ref;
};

/// What init left behind when it gave a revision up (init/protocol.hpp, last_failure_path).
struct InitFailure {
    std::string revision;
    std::string reason;
    std::vector<std::string> log;
    static std::optional<InitFailure> parse(std::string_view text);
};

/// Lines of the last kernel panic, as init found them in the firmware's persistent store (last_panic_path).
using PanicLines = std::vector<std::string>;
PanicLines parse_panic(std::string_view text);

struct BootFacts {
    Release booted; ///< its revision is the kernel's atoll.rev; empty when the kernel has none
    std::string boot_id;
    std::string ok;     ///< `ok=` of grubenv
    std::string trial;  ///< `trial=` of grubenv
    std::string tries;  ///< `tries=` of grubenv
    std::string begun;  ///< `begun=` of grubenv: stage 1's count, REVISION.N
    std::string passed; ///< `passed=` of grubenv: the revision that GRUB or stage 1 could not start
    std::vector<Deployment> deployments;
    std::optional<InitFailure> init_failure;
    PanicLines panic;           ///< empty: none known
    std::int64_t now = 0;       ///< seconds since 1970
    std::int64_t uptime_ms = 0; ///< since the kernel started
};

enum class BootKind {
    same,      ///< this boot was assessed before; updaterd only started again
    unknown,   ///< the kernel has no atoll.rev: no boot counting, nothing to judge
    on_trial,  ///< booted a revision that is not known good
    good,      ///< booted the known good one
    fell_back, ///< booted the known good one because a newer one failed
};

struct BootAssessment {
    BootKind kind = BootKind::unknown;
    std::optional<Receipt> receipt;  ///< of the revision that failed, when there is none yet
    bool staged_is_deployed = false; ///< the staged update has its boot entry: nothing is staged any more
    bool put_booted_first = false;   ///< the order of the boot entries should say what was found out
    bool clear_count = false; ///< GRUB's and stage 1's notes are used up: with them gone a newest deployment that stays
                              ///< first is tried once more at the next boot
    bool has_fallback = false; ///< another deployment is there to go back to
};

/// Another deployment of the same commit is the known good one: kernel arguments, /etc or /var of `failed` are to
/// blame, not the commit.
bool has_good_sibling(const std::vector<Deployment>& deployments, const Release& failed, std::string_view ok) noexcept;

/// N of `begun` when it is about `revision`; 0 otherwise.
unsigned begun_boots(std::string_view begun, std::string_view revision) noexcept;

/// As many boots that stopped after stage 1 are given back their try (init/src/boot_count.hpp).
inline constexpr unsigned max_refunds = 2;

/// Also brings `record` up to date: state, boot id, trial, pending and staged.
BootAssessment assess_boot(Record& record, const BootFacts& facts);

} // namespace updater
