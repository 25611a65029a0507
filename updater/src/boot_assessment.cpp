#include "updater/boot_assessment.hpp"

#include "updater/boot_text.hpp"

namespace updater {

namespace {

/// The release that should have booted and did not; nullopt when what booted is the newest.
std::optional<Release> failed_release(const Record& record, const BootFacts& facts) {
    if (facts.deployments.empty())
        return std::nullopt;
    const Release& newest = facts.deployments.front().release;
    if (newest.revision.empty() || newest.revision == facts.booted.revision)
        return std::nullopt;
    // GRUB counted it and has no try left, or we asked for it: otherwise somebody picked the older entry by hand.
    const bool counted_out = facts.trial == newest.revision && (facts.tries == "0" || facts.tries.empty());
    const bool given_up = record.receipt_of(newest.revision) != nullptr;
    const bool init_gave_up = facts.init_failure && facts.init_failure->revision == newest.revision;
    if (counted_out || given_up || init_gave_up)
        return newest;
    return std::nullopt;
}

Receipt receipt_for(const Record& record, const BootFacts& facts, const Release& failed) {
    Receipt receipt;
    receipt.release = failed;
    receipt.time = facts.now;
    receipt.fell_back_to = facts.booted;
    const bool seen = record.trial && record.trial->revision == failed.revision;
    receipt.boots = seen ? record.trial->boots : 0;
    if (facts.init_failure && facts.init_failure->revision == failed.revision) {
        receipt.found_by = "init";
        receipt.check = "found good within atoll.trial";
        receipt.detail = facts.init_failure->reason;
        receipt.log = facts.init_failure->log;
    } else {
        receipt.found_by = "boot counter";
        receipt.check = "boot is found good before the tries are used up";
        receipt.detail = seen ? "updaterd ran, but every boot ended (power, panic or hang) before the verdict"
                              : "no boot got as far as updaterd: kernel, initramfs or init failed, or the power did; "
                                "only GRUB's count is known";
    }
    return receipt;
}

void count_boot(Record& record, const BootFacts& facts) {
    if (!record.trial || record.trial->revision != facts.booted.revision)
        record.trial = Trial{facts.booted.revision, 0, "", 0};
    if (record.trial->boot_id != facts.boot_id) {
        ++record.trial->boots;
        record.trial->boot_id = facts.boot_id;
        record.trial->started_ms = facts.uptime_ms;
    }
}

void settle_staged(Record& record, const BootFacts& facts, BootAssessment& result) {
    if (!record.staged)
        return;
    const Release& staged = record.staged->release;
    // The revision tells: the same commit can be deployed twice. A power cut between the boot entries and our own
    // record leaves "staged" here although it is deployed.
    const bool deployed =
        std::any_of(facts.deployments.begin(), facts.deployments.end(),
                    [&](const Deployment& deployment) { return deployment.release.revision == staged.revision; });
    if (deployed || staged.revision == facts.booted.revision) {
        record.staged.reset();
        result.staged_is_deployed = true;
    }
}

void apply(Record& record, Event event) {
    record.state = next_state(record.state, event, record.resting()).value_or(record.resting());
}

} // namespace

std::optional<InitFailure> InitFailure::parse(std::string_view text) {
    InitFailure failure;
    bool in_log = false;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (in_log) {
            failure.log.push_back(plain_text(line, Receipt::max_line_bytes));
            if (failure.log.size() > Receipt::max_log_lines)
                failure.log.erase(failure.log.begin());
        } else if (line.starts_with("revision=")) {
            failure.revision = plain_text(line.substr(9), 64);
        } else if (line.starts_with("reason=")) {
            failure.reason = plain_text(line.substr(7), Receipt::max_line_bytes);
        } else if (line == "log:") {
            in_log = true;
        }
    }
    return failure.revision.empty() ? std::nullopt : std::optional(std::move(failure));
}

BootAssessment assess_boot(Record& record, const BootFacts& facts) {
    BootAssessment result;
    result.has_fallback = std::any_of(facts.deployments.begin(), facts.deployments.end(), [&](const Deployment& other) {
        return other.release.revision != facts.booted.revision && !other.release.revision.empty();
    });
    const bool same_boot = !facts.boot_id.empty() && record.boot_id == facts.boot_id;
    record.boot_id = facts.boot_id;

    if (record.state == State::rebooting && record.pending && same_boot && record.pending->boot_id == facts.boot_id) {
        // The boot entries were changed and this is still the old boot.
        result.kind = BootKind::same;
        return result;
    }
    settle_staged(record, facts, result);
    if (facts.booted.revision.empty()) {
        record.pending.reset();
        record.state = record.resting();
        return result;
    }
    if (facts.booted.revision != facts.ok) {
        result.kind = BootKind::on_trial;
        record.pending.reset();
        count_boot(record, facts);
        apply(record, Event::boot_on_trial);
        return result;
    }
    if (const std::optional<Release> failed = failed_release(record, facts)) {
        result.kind = BootKind::fell_back;
        result.put_booted_first = true;
        const Receipt* known = record.receipt_of(failed->revision);
        if (known == nullptr)
            result.receipt = receipt_for(record, facts, *failed);
        record.pending.reset();
        record.judgement = State::rolled_back;
        apply(record, Event::boot_fell_back);
        return result;
    }
    result.kind = same_boot ? BootKind::same : BootKind::good;
    record.pending.reset();
    if (record.judgement != State::rolled_back)
        record.judgement = State::good;
    apply(record, Event::boot_good);
    return result;
}

} // namespace updater
