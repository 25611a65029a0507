#include "trial.hpp"

#include "files.hpp"
#include "grub_block.hpp"
#include "init/protocol.hpp"
#include "log.hpp"

namespace init {

namespace {

constexpr std::uint64_t lines_in_note = 40;

} // namespace

void Trial::begin(const KernelArguments& arguments, std::string_view grubenv) noexcept {
    revision_ = arguments.revision;
    length_ = arguments.trial_seconds * 1000;
    deadline_ = never;
    if (revision_.empty()) {
        log_notice("kernel argument atoll.rev= is missing, the revision is not on trial");
        return;
    }
    if (!is_grub_block(grubenv)) {
        log_error(grubenv_path, " is no GRUB environment block: whether this revision is good is not known");
        return;
    }
    if (grub_variable(grubenv, "ok") == revision_.view()) {
        log_info("revision ", revision_.view(), " is known good");
        return;
    }
    if (length_ == 0) {
        log_notice("revision ", revision_.view(), " is not known good; atoll.trial=0, it is not judged here");
        return;
    }
    deadline_ = length_;
    log_notice("revision ", revision_.view(), " is on trial: to be marked good within ", length_ / 1000, " s");
}

void Trial::begin(const KernelArguments& arguments) noexcept {
    GrubBlock block;
    if (const int error = read_grub_block(grubenv_path, block); error != 0)
        log_error("read ", grubenv_path, ": ", Errno{error});
    begin(arguments, block.view());
}

bool Trial::extend(std::uint64_t seconds) noexcept {
    if (!on_trial() || seconds == 0 || seconds > max_trial_seconds)
        return false;
    length_ = seconds * 1000;
    deadline_ = length_;
    log_info("the updater judges the revision now; without its verdict it is given up at ", seconds, " s");
    return true;
}

bool Trial::good(std::string_view revision) noexcept {
    if (revision_.empty() || revision != revision_.view())
        return false;
    if (on_trial())
        log_notice("revision ", revision_.view(), " was found good, its trial is over");
    deadline_ = never;
    return true;
}

void format_failure_note(std::string_view revision, std::string_view reason, Msec uptime, const LogRing& log,
                         TextBuffer& note) noexcept {
    note.put("revision=", revision, "\nreason=", reason, "\nuptime=", uptime / 1000, "\nlog:\n");
    std::uint64_t sequence = log.next() > lines_in_note ? log.next() - lines_in_note : 0;
    LogRing::Line line;
    while (log.read(sequence, line)) {
        note.put(line.text, "\n");
        sequence = line.sequence + 1;
    }
}

void write_failure_note(std::string_view revision, std::string_view reason, const LogRing& log) noexcept {
    static Text<lines_in_note*(LogRing::max_text + 1) + 512> note;
    note.clear();
    format_failure_note(revision, reason, now_msec(), log, note);
    make_directories("/var/lib/atoll/init");
    if (const int error = write_durable(last_failure_path, note.view(), 0600); error != 0)
        log_error("write ", last_failure_path, ": ", Errno{error});
}

} // namespace init
