#include "updater/boot_assessment.hpp"

#include <charconv>

#include "updater/boot_text.hpp"

namespace updater {

namespace {

/// How it is known that the newest deployment should have booted and did not.
enum class Evidence {
    none,        ///< somebody picked the older entry by hand
    verdict,     ///< updaterd gave it up and wrote the receipt
    init,        ///< init gave it up
    counted_out, ///< GRUB has no try left for it
    not_started, ///< GRUB could not load it, or stage 1 not start it
    not_counted, ///< it was to boot for the first time, and GRUB could not write its count down
};

Evidence find_evidence(const Record& record, const BootFacts& facts, const Release& newest) {
    if (newest.revision.empty() || newest.revision == facts.booted.revision)
        return Evidence::none;
    const Receipt* receipt = record.receipt_of(newest.revision);
    if (receipt != nullptr && receipt->condemned)
        return Evidence::verdict;
    if (facts.init_failure && facts.init_failure->revision == newest.revision)
        return Evidence::init;
    if (facts.trial == newest.revision && (facts.tries == "0" || facts.tries.empty()))
        return Evidence::counted_out;
    if (facts.passed == newest.revision)
        return Evidence::not_started;
    if (record.pending && record.pending->target.revision == newest.revision && facts.trial != newest.revision &&
        record.pending->boot_id != facts.boot_id)
        return Evidence::not_counted;
    return Evidence::none;
}

void describe_count(Receipt& receipt, const BootFacts& facts, unsigned begun) {
    receipt.found_by = "boot counter";
    receipt.check = "boot is found good before the tries are used up";
    if (!facts.panic.empty()) {
        receipt.found_by = "kernel";
        receipt.detail = "the kernel panicked; its last lines are from the firmware's store";
        receipt.log = facts.panic;
    } else if (receipt.boots > 0) {
        receipt.detail = "updaterd ran, but every boot ended (power, panic or hang) before the verdict";
    } else if (begun > 0) {
        receipt.detail = fmt::format("{} boots got as far as stage 1 of init, none as far as updaterd: they ended by a "
                                     "panic, a hang or a power cut",
                                     begun);
    } else {
        receipt.detail = "no boot got as far as stage 1 of init: kernel or initramfs failed, or the power did; only "
                         "GRUB's count is known";
    }
}

Receipt receipt_for(const Record& record, const BootFacts& facts, const Release& failed, Evidence evidence) {
    Receipt receipt;
    receipt.release = failed;
    receipt.time = facts.now;
    receipt.fell_back_to = facts.booted;
    receipt.boots = record.trial && record.trial->revision == failed.revision ? record.trial->boots : 0;
    receipt.revision_only = has_good_sibling(facts.deployments, failed, facts.ok);
    const unsigned begun = begun_boots(facts.begun, failed.revision);
    bool may_be_chance = false; // power or disk may be at fault
    switch (evidence) {
    case Evidence::init:
        receipt.found_by = "init";
        receipt.check = "found good within its trial";
        receipt.detail = facts.init_failure->reason;
        receipt.log = facts.init_failure->log;
        break;
    case Evidence::not_started:
        receipt.found_by = "boot loader";
        receipt.check = "kernel, initramfs and deployment can be started";
        receipt.detail =
            "GRUB could not load its files, or stage 1 of init could not start its deployment; the disk may "
            "be damaged";
        may_be_chance = true;
        break;
    case Evidence::not_counted:
        receipt.found_by = "boot counter";
        receipt.check = "the boot can be counted";
        receipt.detail = "GRUB booted the release before: it could not write its count to /boot/grub/grubenv";
        may_be_chance = true;
        break;
    default:
        describe_count(receipt, facts, begun);
        // Boots that reached stage 1 got their try back until max_refunds: with more of them it was these that used the
        // tries up. Otherwise it was boots that ended before stage 1, as power cuts do as well.
        may_be_chance = facts.panic.empty() && begun <= max_refunds;
        break;
    }
    if (may_be_chance && !record.was_retried(receipt)) {
        receipt.condemned = false;
        receipt.retry = true;
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

/// A change of the boot entries in this very boot. It is noted before they are written, so that they decide whether it
/// came about: updaterd or its worker may have been killed anywhere between. True: another deployment boots next, and
/// there is nothing else to find out.
bool settle_order(Record& record, const BootFacts& facts, BootAssessment& result) {
    if (!record.pending || record.pending->boot_id != facts.boot_id)
        return false;
    if (facts.deployments.empty() || // they cannot be read: what was recorded counts
        facts.deployments.front().release.revision != record.pending->target.revision) {
        const bool stays = facts.deployments.empty() && record.state == State::rebooting;
        if (stays)
            result.kind = BootKind::same;
        else
            record.pending.reset();
        return stays;
    }
    settle_staged(record, facts, result);
    result.kind = BootKind::same;
    record.state = State::rebooting;
    return true;
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

PanicLines parse_panic(std::string_view text) {
    PanicLines lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        lines.push_back(plain_text(text.substr(0, end), Receipt::max_line_bytes));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (lines.size() > Receipt::max_log_lines)
            lines.erase(lines.begin() + 1); // the first may say why, the last ones where
    }
    return lines;
}

bool has_good_sibling(const std::vector<Deployment>& deployments, const Release& failed, std::string_view ok) noexcept {
    return std::any_of(deployments.begin(), deployments.end(), [&](const Deployment& other) {
        return !ok.empty() && !failed.commit.empty() && other.release.revision == ok &&
               other.release.revision != failed.revision && other.release.commit == failed.commit;
    });
}

unsigned begun_boots(std::string_view begun, std::string_view revision) noexcept {
    if (revision.empty() || !begun.starts_with(revision) || begun.size() <= revision.size() ||
        begun[revision.size()] != '.')
        return 0;
    begun.remove_prefix(revision.size() + 1);
    unsigned number = 0;
    const auto [end, error] = std::from_chars(begun.data(), begun.data() + begun.size(), number);
    return error == std::errc() && end == begun.data() + begun.size() ? number : 0;
}

BootAssessment assess_boot(Record& record, const BootFacts& facts) {
    BootAssessment result;
    result.has_fallback = std::any_of(facts.deployments.begin(), facts.deployments.end(), [&](const Deployment& other) {
        return other.release.revision != facts.booted.revision && !other.release.revision.empty();
    });
    const bool same_boot = !facts.boot_id.empty() && record.boot_id == facts.boot_id;
    record.boot_id = facts.boot_id;

    if (settle_order(record, facts, result))
        return result;
    settle_staged(record, facts, result);
    if (facts.booted.revision.empty()) {
        record.pending.reset();
        record.state = record.resting();
        return result;
    }
    const Release newest = facts.deployments.empty() ? Release{} : facts.deployments.front().release;
    // What was found out in this boot is on record: updaterd only started again.
    const Receipt* receipt = record.receipt_of(newest.revision);
    const bool known = same_boot && receipt != nullptr && !receipt->condemned;
    const Evidence evidence = known ? Evidence::none : find_evidence(record, facts, newest);
    if (evidence != Evidence::none && evidence != Evidence::verdict)
        result.receipt = receipt_for(record, facts, newest, evidence);
    const bool newest_failed = evidence != Evidence::none;
    if (newest_failed) {
        const bool retries = result.receipt && result.receipt->retry;
        result.put_booted_first = !retries;
        result.clear_count = true;
    }
    if (facts.booted.revision != facts.ok) {
        result.kind = BootKind::on_trial;
        record.pending.reset();
        count_boot(record, facts);
        apply(record, Event::boot_on_trial);
        return result;
    }
    if (newest_failed) {
        result.kind = BootKind::fell_back;
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
