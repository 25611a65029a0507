#include "trial.hpp"

#include <boost/test/unit_test.hpp>

#include <memory>
#include <string>

#include "base/grub_env.hpp"
#include "grub_block.hpp"

namespace {

std::string block(const std::string& ok) {
    base::GrubEnv environment;
    environment.set("trial", "1111111111111111");
    if (!ok.empty())
        environment.set("ok", ok);
    environment.set("tries", "2");
    return environment.serialize();
}

const init::KernelArguments arguments = init::KernelArguments::parse("atoll.rev=0123456789abcdef atoll.trial=90");

} // namespace

BOOST_AUTO_TEST_SUITE(trial)

BOOST_AUTO_TEST_CASE(reads_what_base_writes) {
    const std::string text = block("aa");
    BOOST_TEST(init::grub_variable(text, "ok") == "aa");
    BOOST_TEST(init::grub_variable(text, "tries") == "2");
    BOOST_TEST(init::grub_variable(text, "o") == "");
    BOOST_TEST(init::grub_variable(text, "none") == "");
    BOOST_TEST(init::grub_variable("ok=aa\n", "ok") == ""); // no such block
    BOOST_TEST(init::grub_variable("", "ok") == "");
}

BOOST_AUTO_TEST_CASE(a_good_revision_is_not_on_trial) {
    init::Trial trial;
    trial.begin(arguments, block("0123456789abcdef"));
    BOOST_TEST(!trial.on_trial());
    BOOST_TEST(trial.deadline() == init::never);
    BOOST_TEST(trial.revision() == "0123456789abcdef");
    BOOST_TEST(trial.good("0123456789abcdef"));
}

BOOST_AUTO_TEST_CASE(others_have_a_deadline_until_marked_good) {
    for (const char* ok : {"", "0123456789abcde", "0123456789abcdef0", "ffffffffffffffff"}) {
        init::Trial trial;
        trial.begin(arguments, block(ok));
        BOOST_TEST(trial.on_trial(), ok);
        BOOST_TEST(trial.deadline() == 90'000U);
        BOOST_TEST(!trial.good("ffffffffffffffff"));
        BOOST_TEST(!trial.good(""));
        BOOST_TEST(trial.on_trial());
        BOOST_TEST(trial.good("0123456789abcdef"));
        BOOST_TEST(!trial.on_trial());
    }
}

BOOST_AUTO_TEST_CASE(who_has_no_revision_is_not_judged) {
    init::Trial trial;
    trial.begin(init::KernelArguments::parse("quiet"), block(""));
    BOOST_TEST(!trial.on_trial());
    BOOST_TEST(!trial.good(""));
    trial.begin(init::KernelArguments::parse("atoll.rev=1 atoll.trial=0"), block(""));
    BOOST_TEST(!trial.on_trial());
    for (const char* no_block : {"", "ok=x\n", "\0\0\0"}) {
        trial.begin(arguments, no_block);
        BOOST_TEST(!trial.on_trial());
    }
}

BOOST_AUTO_TEST_CASE(the_updater_says_how_long_it_judges) {
    init::Trial trial;
    BOOST_TEST(!trial.extend(100)); // nothing is on trial yet
    trial.begin(arguments, block("aa"));
    for (const std::uint64_t none : {UINT64_C(0), init::max_trial_seconds + 1, UINT64_MAX})
        BOOST_TEST(!trial.extend(none));
    BOOST_TEST(trial.deadline() == 90'000U);
    BOOST_TEST(trial.extend(300));
    BOOST_TEST(trial.deadline() == 300'000U);
    BOOST_TEST(trial.extend(30)); // shorter is its decision, too
    BOOST_TEST(trial.deadline() == 30'000U);
    BOOST_TEST(trial.good("0123456789abcdef"));
    BOOST_TEST(!trial.extend(300));
    BOOST_TEST(!trial.on_trial());
}

BOOST_AUTO_TEST_CASE(the_note_has_the_last_lines) {
    const auto ring = std::make_unique<init::LogRing>();
    for (int i = 0; i < 100; ++i)
        ring->push(6, 0, "line " + std::to_string(i));
    init::Text<8192> note;
    init::format_failure_note("0123456789abcdef", "not marked good within 90 s", 91'234, *ring, note);
    const std::string text(note.view());
    BOOST_TEST(
        text.starts_with("revision=0123456789abcdef\nreason=not marked good within 90 s\nuptime=91\nlog:\nline 60\n"));
    BOOST_TEST(text.ends_with("line 98\nline 99\n"));
}

BOOST_AUTO_TEST_SUITE_END()
