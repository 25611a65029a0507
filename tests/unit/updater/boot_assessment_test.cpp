#include <boost/test/unit_test.hpp>

#include "updater/boot_assessment.hpp"

using namespace updater;

namespace {

const Release old_release{"1", std::string(64, 'a'), "0000000000000001"};
const Release new_release{"2", std::string(64, 'b'), "0000000000000002"};

Deployment deployment(const Release& release, bool booted) {
    return {release, 0, booted, false, "atoll/stable"};
}

/// The new release is the newest deployment; `booted` runs.
BootFacts facts_of(const Release& booted, const std::string& ok) {
    BootFacts facts;
    facts.booted = booted;
    facts.boot_id = "boot-2";
    facts.ok = ok;
    facts.deployments = {deployment(new_release, booted == new_release),
                         deployment(old_release, booted == old_release)};
    facts.now = 1000;
    facts.uptime_ms = 5000;
    return facts;
}

Record record_before() {
    Record record;
    record.state = State::rebooting;
    record.judgement = State::good;
    record.boot_id = "boot-1";
    record.pending = PendingBoot{"upgrade", new_release, old_release, "boot-1"};
    return record;
}

bool is(BootKind left, BootKind right) {
    return left == right;
}

} // namespace

BOOST_AUTO_TEST_SUITE(updater_boot_assessment)

BOOST_AUTO_TEST_CASE(first_boot_of_a_new_release) {
    Record record = record_before();
    const BootAssessment boot = assess_boot(record, facts_of(new_release, old_release.revision));
    BOOST_TEST(is(boot.kind, BootKind::on_trial));
    BOOST_TEST(boot.has_fallback);
    BOOST_TEST((record.state == State::trying));
    BOOST_TEST(!record.pending.has_value());
    BOOST_TEST_REQUIRE(record.trial.has_value());
    BOOST_TEST(record.trial->boots == 1U);
    BOOST_TEST(record.trial->started_ms == 5000);
}

BOOST_AUTO_TEST_CASE(restarts_of_updaterd_are_no_boots) {
    Record record = record_before();
    BootFacts facts = facts_of(new_release, old_release.revision);
    assess_boot(record, facts);
    facts.uptime_ms = 90'000;
    assess_boot(record, facts);
    BOOST_TEST(record.trial->boots == 1U);
    BOOST_TEST(record.trial->started_ms == 5000);
    facts.boot_id = "boot-3";
    assess_boot(record, facts);
    BOOST_TEST(record.trial->boots == 2U);
    BOOST_TEST(record.trial->started_ms == 90'000);
}

BOOST_AUTO_TEST_CASE(known_good) {
    Record record = record_before();
    const BootAssessment boot = assess_boot(record, facts_of(new_release, new_release.revision));
    BOOST_TEST(is(boot.kind, BootKind::good));
    BOOST_TEST((record.state == State::good));
    BOOST_TEST(!boot.put_booted_first);
}

BOOST_AUTO_TEST_CASE(change_is_pending_in_the_same_boot) {
    Record record = record_before();
    BootFacts facts = facts_of(old_release, old_release.revision);
    facts.boot_id = "boot-1";
    BOOST_TEST(is(assess_boot(record, facts).kind, BootKind::same));
    BOOST_TEST((record.state == State::rebooting));
    BOOST_TEST(record.pending.has_value());
}

BOOST_AUTO_TEST_CASE(fell_back_without_a_trace) {
    Record record = record_before();
    BootFacts facts = facts_of(old_release, old_release.revision);
    facts.trial = new_release.revision;
    facts.tries = "0";
    const BootAssessment boot = assess_boot(record, facts);
    BOOST_TEST(is(boot.kind, BootKind::fell_back));
    BOOST_TEST((record.state == State::rolled_back));
    BOOST_TEST((record.judgement == State::rolled_back));
    BOOST_TEST_REQUIRE(boot.receipt.has_value());
    BOOST_TEST(boot.receipt->found_by == "boot counter");
    BOOST_TEST(boot.receipt->boots == 0U);
    BOOST_TEST(boot.receipt->detail.find("no boot got as far as stage 1") != std::string::npos);
    BOOST_TEST((boot.receipt->release == new_release));
    BOOST_TEST((boot.receipt->fell_back_to == old_release));
}

namespace {

/// The old release runs after the new one's tries were used up.
BootFacts counted_out(const std::string& begun = {}) {
    BootFacts facts = facts_of(old_release, old_release.revision);
    facts.trial = new_release.revision;
    facts.tries = "0";
    facts.begun = begun;
    return facts;
}

/// What the daemon makes of an assessment.
void keep(Record& record, const BootAssessment& boot) {
    if (boot.receipt)
        record.add_receipt(*boot.receipt);
}

} // namespace

BOOST_AUTO_TEST_CASE(tries_used_up_before_stage_1_condemn_at_the_second_time_only) {
    Record record = record_before();
    BootAssessment boot = assess_boot(record, counted_out());
    BOOST_TEST(boot.clear_count); // it stays first: the next boot tries it once more
    BOOST_TEST(!boot.put_booted_first);
    BOOST_TEST(boot.receipt->retry);
    BOOST_TEST(!boot.receipt->condemned);
    keep(record, boot);
    BOOST_TEST(record.condemned(new_release.commit) == nullptr);

    // updaterd starts again in the same boot, also when GRUB's notes could not be cleared.
    boot = assess_boot(record, counted_out());
    BOOST_TEST(is(boot.kind, BootKind::same));
    BOOST_TEST(!boot.receipt.has_value());
    BOOST_TEST((record.state == State::rolled_back));

    // The next boot is the old one again, the tries were used up again.
    BootFacts facts = counted_out();
    facts.boot_id = "boot-3";
    boot = assess_boot(record, facts);
    BOOST_TEST_REQUIRE(boot.receipt.has_value());
    BOOST_TEST(boot.receipt->condemned);
    BOOST_TEST(!boot.receipt->retry);
    BOOST_TEST(boot.put_booted_first);
    keep(record, boot);
    BOOST_TEST(record.condemned(new_release.commit) != nullptr);
    BOOST_TEST(is(assess_boot(record, facts).kind, BootKind::fell_back)); // and stays so
}

BOOST_AUTO_TEST_CASE(the_second_chance_is_the_commits_and_found_good_it_has_another) {
    Record record = record_before();
    keep(record, assess_boot(record, counted_out()));
    BootFacts facts = counted_out();
    facts.boot_id = "boot-3";
    const std::string again = "00000000000000aa"; // deployed anew
    facts.deployments.front().release.revision = facts.trial = again;
    BOOST_TEST(assess_boot(record, facts).receipt->condemned);
    record = record_before();
    keep(record, assess_boot(record, counted_out()));
    record.pardon(new_release);
    facts = counted_out();
    facts.boot_id = "boot-3";
    BOOST_TEST(!assess_boot(record, facts).receipt->condemned);
}

BOOST_AUTO_TEST_CASE(boots_that_end_after_stage_1_condemn_when_they_used_the_tries_up) {
    const std::string revision = new_release.revision;
    for (const auto& [begun, condemned] :
         std::vector<std::pair<std::string, bool>>{{revision + ".5", true},
                                                   {revision + ".3", true},
                                                   {revision + ".2", false},
                                                   {revision + ".1", false},
                                                   {old_release.revision + ".6", false},
                                                   {"rubbish", false}}) {
        Record record = record_before();
        const BootAssessment boot = assess_boot(record, counted_out(begun));
        BOOST_TEST(boot.receipt->condemned == condemned, begun);
        BOOST_TEST(boot.put_booted_first == condemned, begun);
    }
    Record record = record_before();
    BOOST_TEST(
        assess_boot(record, counted_out(revision + ".6")).receipt->detail.find("6 boots got as far as stage 1") !=
        std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_panic_on_record_condemns) {
    Record record = record_before();
    BootFacts facts = counted_out();
    facts.panic = {"Kernel panic - not syncing: rig"};
    const BootAssessment boot = assess_boot(record, facts);
    BOOST_TEST(boot.receipt->condemned);
    BOOST_TEST(boot.receipt->found_by == "kernel");
    BOOST_TEST(boot.receipt->log == facts.panic, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_could_not_be_started_is_tried_once_more) {
    Record record = record_before();
    BootFacts facts = facts_of(old_release, old_release.revision);
    facts.trial = new_release.revision;
    facts.tries = "2";
    facts.passed = new_release.revision;
    BootAssessment boot = assess_boot(record, facts);
    BOOST_TEST(is(boot.kind, BootKind::fell_back));
    BOOST_TEST(boot.receipt->found_by == "boot loader");
    BOOST_TEST(boot.receipt->retry);
    BOOST_TEST(!boot.put_booted_first);
    keep(record, boot);
    facts.boot_id = "boot-3";
    boot = assess_boot(record, facts);
    BOOST_TEST(boot.receipt->condemned);
    BOOST_TEST(boot.put_booted_first);
}

BOOST_AUTO_TEST_CASE(a_good_one_that_cannot_be_started_any_more) {
    // The disk lost the newest, which is `ok`; the one before runs, and is judged as any other.
    Record record = record_before();
    record.pending.reset();
    BootFacts facts = facts_of(old_release, new_release.revision);
    facts.passed = new_release.revision;
    const BootAssessment boot = assess_boot(record, facts);
    BOOST_TEST(is(boot.kind, BootKind::on_trial));
    BOOST_TEST_REQUIRE(boot.receipt.has_value());
    BOOST_TEST((boot.receipt->release == new_release));
    BOOST_TEST(boot.clear_count);
}

BOOST_AUTO_TEST_CASE(a_count_that_grub_cannot_write) {
    Record record = record_before();
    BootFacts facts = facts_of(old_release, old_release.revision);
    BootAssessment boot = assess_boot(record, facts);
    BOOST_TEST(is(boot.kind, BootKind::fell_back));
    BOOST_TEST(boot.receipt->check == "the boot can be counted");
    BOOST_TEST(boot.receipt->retry);
    // Without a pending change somebody picked the older entry.
    record = record_before();
    record.pending.reset();
    boot = assess_boot(record, facts);
    BOOST_TEST(is(boot.kind, BootKind::good));
    BOOST_TEST(!boot.receipt.has_value());
}

BOOST_AUTO_TEST_CASE(stage_1s_count) {
    BOOST_TEST(begun_boots("0000000000000002.4", "0000000000000002") == 4U);
    for (const char* none : {"", "0000000000000002", "0000000000000002.", "0000000000000002.x", "0000000000000002.4x",
                             "0000000000000003.4", "0000000000000002.-1"})
        BOOST_TEST(begun_boots(none, "0000000000000002") == 0U, none);
    BOOST_TEST(begun_boots(".4", "") == 0U);
}

BOOST_AUTO_TEST_CASE(lines_of_a_panic) {
    BOOST_TEST(parse_panic("a\n\x1b[0mb\n") == (PanicLines{"a", "?[0mb"}), boost::test_tools::per_element());
    BOOST_TEST(parse_panic("").empty());
    BOOST_TEST(parse_panic(std::string(1000, '\n')).size() == Receipt::max_log_lines);
}

BOOST_AUTO_TEST_CASE(fell_back_after_boots_that_updaterd_saw) {
    Record record = record_before();
    record.trial = Trial{new_release.revision, 2, "boot-1", 0};
    BootFacts facts = facts_of(old_release, old_release.revision);
    facts.trial = new_release.revision;
    facts.tries = "0";
    const BootAssessment boot = assess_boot(record, facts);
    BOOST_TEST_REQUIRE(boot.receipt.has_value());
    BOOST_TEST(boot.receipt->boots == 2U);
    BOOST_TEST(boot.receipt->detail.find("before the verdict") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(fell_back_with_what_init_saw) {
    Record record = record_before();
    BootFacts facts = facts_of(old_release, old_release.revision);
    facts.trial = new_release.revision;
    facts.tries = "0";
    facts.init_failure = InitFailure{new_release.revision, "engined does not start", {"line"}};
    const BootAssessment boot = assess_boot(record, facts);
    BOOST_TEST_REQUIRE(boot.receipt.has_value());
    BOOST_TEST(boot.receipt->found_by == "init");
    BOOST_TEST(boot.receipt->detail == "engined does not start");
    // A note about another revision says nothing of this one.
    BOOST_TEST(boot.receipt->condemned); // a verdict, no power cut
    record = record_before();
    facts.init_failure->revision = "00000000000000ff";
    BOOST_TEST(assess_boot(record, facts).receipt->found_by == "boot counter");
}

BOOST_AUTO_TEST_CASE(our_own_receipt_is_kept) {
    Record record = record_before();
    Receipt receipt;
    receipt.release = new_release;
    receipt.check = "service network is healthy";
    record.add_receipt(receipt);
    BootFacts facts = facts_of(old_release, old_release.revision);
    facts.trial = new_release.revision;
    facts.tries = "0";
    const BootAssessment boot = assess_boot(record, facts);
    BOOST_TEST(is(boot.kind, BootKind::fell_back));
    BOOST_TEST(!boot.receipt.has_value());
}

BOOST_AUTO_TEST_CASE(older_entry_picked_by_hand_is_no_failure) {
    Record record = record_before();
    BootFacts facts = facts_of(old_release, old_release.revision);
    facts.trial = new_release.revision;
    facts.tries = "2";
    BOOST_TEST(is(assess_boot(record, facts).kind, BootKind::good));
    BOOST_TEST((record.state == State::good));
    // And one that is not known good is judged.
    record = record_before();
    BOOST_TEST(is(assess_boot(record, facts_of(old_release, new_release.revision)).kind, BootKind::on_trial));
}

BOOST_AUTO_TEST_CASE(rolled_back_stays_so_until_something_is_found_good) {
    Record record;
    record.judgement = State::rolled_back;
    record.boot_id = "boot-1";
    BootFacts facts = facts_of(old_release, old_release.revision);
    std::swap(facts.deployments[0], facts.deployments[1]);
    BOOST_TEST(is(assess_boot(record, facts).kind, BootKind::good));
    BOOST_TEST((record.state == State::rolled_back));
}

BOOST_AUTO_TEST_CASE(staged_survives_a_power_cut_and_ends_when_deployed) {
    Record record;
    record.state = State::staged;
    record.judgement = State::good;
    record.staged = StagedUpdate{new_release, "atoll/stable", 0};
    BootFacts facts = facts_of(old_release, old_release.revision);
    facts.deployments = {deployment(old_release, true)};
    BootAssessment boot = assess_boot(record, facts);
    BOOST_TEST(is(boot.kind, BootKind::good));
    BOOST_TEST((record.state == State::staged));
    BOOST_TEST(!boot.staged_is_deployed);

    boot = assess_boot(record, facts_of(new_release, old_release.revision));
    BOOST_TEST(boot.staged_is_deployed);
    BOOST_TEST(!record.staged.has_value());
    BOOST_TEST((record.state == State::trying));
}

BOOST_AUTO_TEST_CASE(busy_states_do_not_survive_a_boot) {
    for (const State busy : {State::checking, State::downloading, State::verifying}) {
        Record record;
        record.state = busy;
        record.judgement = State::good;
        assess_boot(record, facts_of(new_release, new_release.revision));
        BOOST_TEST((record.state == State::good));
    }
}

BOOST_AUTO_TEST_CASE(no_revision_on_the_command_line) {
    Record record = record_before();
    BootFacts facts = facts_of({"1", "", ""}, old_release.revision);
    BOOST_TEST(is(assess_boot(record, facts).kind, BootKind::unknown));
    BOOST_TEST((record.state == State::good));
}

BOOST_AUTO_TEST_CASE(only_deployment) {
    Record record;
    BootFacts facts = facts_of(old_release, "");
    facts.deployments = {deployment(old_release, true)};
    const BootAssessment boot = assess_boot(record, facts);
    BOOST_TEST(is(boot.kind, BootKind::on_trial));
    BOOST_TEST(!boot.has_fallback);
    // Also when the deployments could not be read.
    facts.deployments.clear();
    BOOST_TEST(!assess_boot(record, facts).has_fallback);
}

BOOST_AUTO_TEST_CASE(notes_of_init) {
    const auto note =
        InitFailure::parse("revision=0000000000000002\nreason=no engined\x1b[0m\nuptime=600\nlog:\na\n\nb");
    BOOST_TEST_REQUIRE(note.has_value());
    BOOST_TEST(note->revision == "0000000000000002");
    BOOST_TEST(note->reason == "no engined?[0m");
    BOOST_TEST(note->log == (std::vector<std::string>{"a", "", "b"}), boost::test_tools::per_element());
    BOOST_TEST(!InitFailure::parse("").has_value());
    BOOST_TEST(!InitFailure::parse("reason=x\nlog:\nrevision=1\n").has_value());
    std::string many = "revision=1\nlog:\n";
    for (int line = 0; line < 100; ++line)
        many += fmt::format("{}\n", line);
    BOOST_TEST(InitFailure::parse(many)->log.size() == Receipt::max_log_lines);
    BOOST_TEST(InitFailure::parse(many)->log.back() == "99");
}

BOOST_AUTO_TEST_SUITE_END()
