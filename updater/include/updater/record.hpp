// What the updater remembers across restarts and power cuts: /var/lib/atoll/updater/state.json, written durably as a
// whole. Every field is optional on reading and unknown ones are skipped, because the file outlives releases: the
// release before reads what the next one wrote, and the other way round.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "updater/kernel_arguments.hpp"
#include "updater/state_machine.hpp"
#include "updater/workload.hpp"

namespace updater {

/// One deployment, or what is to become one. Fields that are not known are empty.
struct Release {
    std::string version;
    std::string commit;   ///< 64 hexadecimal digits
    std::string revision; ///< atoll.rev, 16 hexadecimal digits
    bool operator==(const Release&) const = default;
    /// "1.2 (revision 00f3...)", for messages.
    std::string describe() const;
};

/// Content that is here and checked; --finalize makes it the newest deployment.
struct StagedUpdate {
    Release release; ///< the revision it will get is drawn when it is staged, so that every later step can be repeated
    std::string ref;
    std::int64_t time = 0;
    std::vector<ArgumentChange> arguments; ///< changes of the host's kernel arguments, made with it
    bool factory = false;                  ///< a factory reset: /etc, /var and kernel arguments as shipped
};

/// What the last finalise could not merge, for people: /etc and kernel arguments keep what was changed here.
struct MergeNotes {
    Release release;                      ///< that was deployed
    std::vector<std::string> etc;         ///< paths below /etc; the image's own files are in /usr/etc
    std::vector<std::string> accounts;    ///< what became of passwd, group, shadow, gshadow
    std::vector<std::string> arguments;   ///< names of kernel arguments
    std::vector<std::string> left_behind; ///< paths edited in the deployment that was left by a rollback

    static constexpr std::size_t max_entries = 200;
    bool empty() const noexcept { return etc.empty() && accounts.empty() && arguments.empty() && left_behind.empty(); }
};

/// Boot entries were written, the boot that tries them has not come yet.
struct PendingBoot {
    std::string kind; ///< "upgrade" or "rollback"
    Release target;
    Release from;
    std::string boot_id; ///< of the boot in which they were written
};

/// The revision that is, or last was, on trial.
struct Trial {
    std::string revision;
    unsigned boots = 0; ///< that got as far as updaterd
    std::string boot_id;
    std::int64_t started_ms = 0; ///< when this boot's trial began, in milliseconds since the kernel started
};

/// Why a revision was given up.
struct Receipt {
    Release release;
    std::string found_by; ///< "updaterd", "init", or "boot counter": who saw it
    std::string check;    ///< which check failed
    std::string detail;
    std::vector<std::string> log; ///< last lines, at most `max_log_lines`
    unsigned boots = 0;           ///< boots that got as far as updaterd
    std::int64_t time = 0;
    Release fell_back_to;
    bool condemned = true;      ///< it is not tried again until told so: its commit, or
    bool revision_only = false; ///< this deployment alone, as another one of the same commit is known good
    bool retry = false;         ///< power may have been cut, or the disk was at fault: tried once more at the next boot

    static constexpr std::size_t max_log_lines = 40;
    static constexpr std::size_t max_line_bytes = 500;
};

struct Record {
    State state = State::idle;
    State judgement = State::idle; ///< idle, good or rolled_back: how the last judged boot went
    std::string boot_id;
    std::optional<StagedUpdate> staged;
    std::optional<PendingBoot> pending;
    std::optional<Trial> trial;
    std::optional<MergeNotes> notes;
    std::optional<Baseline> baseline; ///< of the workload checks, for the update that waits for its reboot
    std::vector<Receipt> receipts;    ///< oldest first, at most `max_receipts`
    std::string last_error;

    static constexpr std::size_t max_receipts = 16;
    static constexpr std::size_t max_bytes = 1024 * 1024;

    /// Where a job without result goes back to.
    State resting() const noexcept { return staged ? State::staged : judgement; }
    /// The newest receipt that condemns `commit` as such, or nullptr.
    const Receipt* condemned(std::string_view commit) const noexcept;
    const Receipt* receipt_of(std::string_view revision) const noexcept;
    /// What the receipt condemns was given up before without being condemned: it had its second chance.
    bool was_retried(const Receipt& receipt) const noexcept;
    void add_receipt(Receipt receipt);
    /// Lets the release be tried again.
    void pardon(const Release& release) noexcept;
};

/// Throws base::Error naming what is wrong.
Record parse_record(std::string_view text, const std::string& name);
std::string serialize_record(const Record& record);

/// A missing file is a new machine; a damaged one is put aside as state.json.bad and reported: a machine must be able
/// to judge its boot with an empty record.
Record load_record(const std::string& path);
void save_record(const std::string& path, const Record& record);

} // namespace updater
