// Updates by themselves, with a reboot lock over HTTP.
#include "lock_server.hpp"
#include "machine.hpp"

using namespace updater_test;

BOOST_FIXTURE_TEST_SUITE(updater_policy_daemon, Machine)

BOOST_AUTO_TEST_CASE(check_and_stage_by_themselves) {
    write_host_yaml("  settle: 1s\n  trial: 1d\n  policy: stage\n  interval: 1s\n");
    publish({.version = "2", .program = "two", .signers = {&key}});
    start();
    until("it is staged", [&] { return state() == "staged"; });
    BOOST_TEST(init->reboots().empty());
    BOOST_TEST(require_control({"status"}).find("policy    stage; looks again in") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_closed_window_and_a_bad_zone_reboot_nothing) {
    // Its one minute a week is some other day: three days from now.
    const std::time_t now = std::time(nullptr);
    struct tm parts {};
    ::gmtime_r(&now, &parts);
    const char* days[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
    const std::string day = days[(parts.tm_wday + 3) % 7];
    const std::string window = "  windows: [{days: [" + day + "], from: \"12:00\", to: \"12:01\"}]\n";
    write_host_yaml("  settle: 1s\n  policy: windows\n  interval: 1s\n" + window);
    publish({.version = "2", .program = "two", .signers = {&key}});
    start();
    until("it is staged", [&] { return state() == "staged"; });
    BOOST_TEST(require_control({"status"}).find("next window") != std::string::npos);
    write_host_yaml("  settle: 1s\n  policy: windows\n  interval: 1s\n  zone: Nowhere/City\n" + window);
    until("the zone is complained about",
          [&] { return require_control({"status"}).find("'Nowhere/City' is not known here") != std::string::npos; });
    BOOST_TEST(init->reboots().empty());
    // A change of the configuration counts at once.
    write_host_yaml("  settle: 1s\n  policy: windows\n  interval: 1d\n  windows: [{from: \"00:00\", to: \"24:00\"}]\n");
    until("a reboot is asked for", [&] { return !init->reboots().empty(); });
    BOOST_TEST(init->reboots().front() == "update by policy");
}

BOOST_AUTO_TEST_CASE(reboot_only_with_the_lock_and_give_it_back_when_good) {
    LockServer lock;
    lock.set_owner("somebody");
    write_host_yaml("  settle: 1s\n  trial: 1d\n  policy: immediate\n  interval: 1s\n  lock: {url: \"" + lock.url() +
                    "\", group: web, id: me}\n");
    publish({.version = "2", .program = "two", .signers = {&key}});
    start();
    until("the lock is refused", [&] {
        return require_control({"status"}).find("failed_lock_semaphore_full: the slot is taken") != std::string::npos;
    });
    BOOST_TEST(state() == "staged");
    BOOST_TEST(init->reboots().empty());
    lock.set_owner("");
    until("a reboot is asked for", [&] { return !init->reboots().empty(); });
    BOOST_TEST(lock.owner() == "me");
    reboot();
    until("it is found good", [&] { return state() == "good"; });
    until("the lock is given back", [&] { return lock.owner().empty(); });
    BOOST_TEST(lock.mistakes().empty());
}

BOOST_AUTO_TEST_SUITE_END()
