// What updaterd has the host do with the boot loader, when it does not, and what it makes of the answer. The host's
// half itself is tried in machines.
#include "machine.hpp"

using namespace updater_test;

namespace {

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

struct Loader : Machine {
    void answer(const std::string& text) {
        init->on_boot_loader([path = paths.boot_loader_answer, text] { base::write_durable(path, text); });
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(updater_boot_loader, Loader)

BOOST_AUTO_TEST_CASE(not_before_the_release_is_good_and_not_while_something_is_staged) {
    start();
    engine->set("starting", "");
    stage_and_reboot({.version = "2", .program = "two", .signers = {&key}});
    BOOST_TEST(state() == "trying");
    base::RunResult run = control({"bootloader", "update"});
    BOOST_TEST(run.status.code == 1);
    BOOST_TEST(has(run.errors, "found good first"), run.errors);
    require_control({"mark-good"});
    publish({.version = "3", .program = "three", .signers = {&key}});
    require_control({"upgrade"});
    run = control({"bootloader", "update", "--allow-downgrade"});
    BOOST_TEST(run.status.code == 1);
    BOOST_TEST(has(run.errors, "staged"), run.errors);
    BOOST_TEST(init->boot_loader_jobs().empty());
}

BOOST_AUTO_TEST_CASE(what_was_asked_for_is_what_the_host_does) {
    start();
    until("it is found good", [&] { return state() == "good"; });
    answer(R"({"result":{"disk":"/dev/x","firmware":"bios","bios":{"state":"known","id":"new-1","version":"1"},)"
           R"("esp":{"state":"absent"},"update":"current","carried":{"id":"new-1","version":"1"},)"
           R"("changed":["bios"],"removed":["old-1"]}})");
    const std::string said = require_control({"bootloader", "update"});
    BOOST_TEST(said == "BIOS: installed\nremoved files of old-1\n");
    BOOST_TEST(has(require_control({"history"}), "new-1 installed: bios"));
    require_control({"bootloader", "update", "--allow-downgrade"});
    BOOST_TEST(has(require_control({"bootloader", "status"}), "it is the booted image's"));
    BOOST_TEST(init->boot_loader_jobs() == (std::vector<std::uint64_t>{1, 2, 0}));
}

BOOST_AUTO_TEST_CASE(what_the_host_refuses_is_said_once_and_kept) {
    start();
    until("it is found good", [&] { return state() == "good"; });
    answer(R"({"error":"new-1 is older than what is installed"})");
    const base::RunResult run = control({"bootloader", "update"});
    BOOST_TEST(run.status.code == 1);
    BOOST_TEST(has(run.errors, "new-1 is older than what is installed"), run.errors);
    BOOST_TEST(has(require_control({"history"}), "new-1 is older than what is installed"));
    for (const char* rubbish : {"", "[]", "{}", R"({"result":7})", "{\"error\":\"cut of"}) {
        answer(rubbish);
        BOOST_TEST(control({"bootloader", "status"}).status.code == 1, rubbish);
    }
    BOOST_TEST(state() == "good");
}

BOOST_AUTO_TEST_SUITE_END()
