// Updates by themselves, with a reboot lock over HTTP.
#include <gio/gio.h>

#include "base/scope_exit.hpp"
#include "lock_server.hpp"
#include "machine.hpp"
#include "tls_front.hpp"

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

BOOST_AUTO_TEST_CASE(the_locks_server_by_the_authority_that_was_named) {
    LockServer lock;
    const TlsFront front(directory + "/tls", lock.port());
    const TlsFront other(directory + "/other", lock.port());
    const auto ask = [&](const std::string& authority) {
        base::write_durable(paths.host_yaml, "update:\n  url: " + front.url() + "\n" +
                                                 (authority.empty() ? "" : "  ca: " + authority + "\n") +
                                                 "  policy: immediate\n  lock: {url: \"" + front.url() + "/base" +
                                                 "\", group: web, id: me}\n");
        return worker({"reboot-lock"});
    };
    for (const std::string& wrong : {std::string(), other.authority()}) {
        const base::RunResult run = ask(wrong);
        BOOST_TEST(run.status.code == 1);
        BOOST_TEST(run.output.find("certificate") != std::string::npos, run.output);
    }
    BOOST_TEST(lock.owner().empty());
    BOOST_TEST(ask(front.authority()).status.success());
    BOOST_TEST(lock.owner() == "me");
    BOOST_TEST(lock.mistakes().empty());
}

BOOST_AUTO_TEST_CASE(policy_is_a_property_and_changes_are_told) {
    write_host_yaml("  settle: 1s\n  trial: 1d\n  policy: check\n  interval: 1d\n");
    start();
    const std::string address = "--address=unix:path=" + paths.bus_socket;
    const auto property = [&](const char* name) {
        return base::run_checked({"busctl", address, "get-property", "org.atoll.Updater1", "/org/atoll/Updater1",
                                  "org.atoll.Updater1", name});
    };
    BOOST_TEST(property("PolicyMode") == "s \"check\"\n");
    BOOST_TEST(property("NextWindow") == "t 0\n");
    BOOST_TEST(property("Notes") == "as 0\n");
    // A client of its own connection, as any program would be.
    GError* error = nullptr;
    GDBusConnection* client =
        g_dbus_connection_new_for_address_sync(("unix:path=" + paths.bus_socket).c_str(),
                                               G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, nullptr, nullptr, &error);
    BOOST_TEST_REQUIRE(client != nullptr);
    const base::ScopeExit drop([client] { g_object_unref(client); });
    std::string heard;
    g_dbus_connection_signal_subscribe(
        client, nullptr, "org.freedesktop.DBus.Properties", "PropertiesChanged", "/org/atoll/Updater1", nullptr,
        G_DBUS_SIGNAL_FLAGS_NONE,
        [](GDBusConnection*, const char*, const char*, const char*, const char*, GVariant* values, void* data) {
            char* text = g_variant_print(values, FALSE);
            *static_cast<std::string*>(data) += text;
            g_free(text);
        },
        &heard, nullptr);
    const auto hears = [&](const char* part) {
        while (g_main_context_iteration(nullptr, FALSE) != FALSE) {
        }
        return heard.find(part) != std::string::npos;
    };
    write_host_yaml("  settle: 1s\n  trial: 1d\n  policy: stage\n  interval: 1d\n");
    until("the change is told", [&] { return hears("'PolicyMode': <'stage'>"); });
    BOOST_TEST(!hears("BootedVersion")); // only what changed
    write_host_yaml("  settle: 1s\n  trial: 1d\n  policy: nonsense\n");
    until("the mistake is told", [&] { return hears("'PolicyProblem': <'"); });
    publish({.version = "2", .program = "two", .signers = {&key}});
    write_host_yaml("  settle: 1s\n  trial: 1d\n");
    require_control({"upgrade"});
    until("what is staged is told", [&] { return hears("'StagedVersion': <'2'>"); });
}

BOOST_AUTO_TEST_SUITE_END()
