// updaterd and updatectl as programs, on a machine's disk in a directory: upgrade, trial, verdict, fallback, rollback.
#include <boost/test/unit_test.hpp>

#include <sys/mount.h>

#include "base/scope_exit.hpp"
#include "machine.hpp"
#include "updater/record.hpp"

using namespace updater_test;

BOOST_FIXTURE_TEST_SUITE(updater_daemon, Machine)

BOOST_AUTO_TEST_CASE(upgrade_is_found_good) {
    const std::string leftover = paths.state_file() + ".a1B2c3"; // of a write that was killed
    base::write_durable(leftover, "{");
    start();
    BOOST_TEST(!std::filesystem::exists(leftover));
    BOOST_TEST(state() == "good");
    BOOST_TEST(init->good_revisions() == (std::vector<std::string>{first_revision}));
    BOOST_TEST(require_control({"check"}).find("up to date: 1 is booted") != std::string::npos);

    publish({.version = "2", .program = "two", .signers = {&key}});
    BOOST_TEST(require_control({"check"}).find("2 is available") != std::string::npos);
    BOOST_TEST(state() == "good");
    BOOST_TEST(require_control({"upgrade"}).find("2 is staged") != std::string::npos);
    BOOST_TEST(state() == "staged");
    BOOST_TEST(entries() == (std::vector<std::string>{first_revision}));
    // An edit after staging is kept: the merge is made at shutdown.
    base::write_durable(deployment_of(first_revision) + "/etc/kept", "late edit\n");

    const std::string revision = reboot();
    BOOST_TEST(revision != first_revision);
    BOOST_TEST(grub_env().get("ok") == first_revision);
    BOOST_TEST(base::read_file(deployment_of(revision) + "/etc/kept") == "late edit\n");
    until("it is found good", [&] { return state() == "good"; });
    BOOST_TEST(grub_env().get("ok") == revision);
    BOOST_TEST(grub_env().get("trial").empty());
    BOOST_TEST(init->good_revisions().back() == revision);
    BOOST_TEST(base::read_file(paths.good_revision) == revision + "\n");
    BOOST_TEST(require_control({"status"}).find("booted    2") != std::string::npos);
    const std::string history = require_control({"history"});
    for (const char* event : {"staged", "finalised", "good"})
        BOOST_TEST(history.find(event) != std::string::npos);
}

BOOST_AUTO_TEST_CASE(unhealthy_release_falls_back_with_a_receipt) {
    write_host_yaml("  settle: 1s\n  trial: 1s\n");
    start();
    engine->set("running", "unhealthy");
    const std::string failed = stage_and_reboot({.version = "2", .program = "two", .signers = {&key}});
    until("a reboot is asked for", [&] { return !init->reboots().empty(); });
    BOOST_TEST(init->reboots().front().find("service network is healthy") != std::string::npos);
    BOOST_TEST(grub_env().get("ok") == first_revision);
    BOOST_TEST(grub_env().get("tries") == "0");
    engine->set("running", "healthy");
    BOOST_TEST(reboot() == first_revision);

    BOOST_TEST(state() == "rolled-back");
    const std::string text = require_control({"status"});
    BOOST_TEST_INFO(text);
    BOOST_TEST(text.find("2 (revision " + failed + ") failed") != std::string::npos);
    BOOST_TEST(text.find("health unhealthy: why") != std::string::npos);
    BOOST_TEST(text.find("| no ?[31mlease") != std::string::npos);
    until("the good one is first", [&] { return entries().front() == first_revision && !busy(); });
    BOOST_TEST(grub_env().get("ok") == first_revision);

    // Not again, until told so.
    const base::RunResult again = control({"upgrade"});
    BOOST_TEST(again.status.code == 1);
    BOOST_TEST(again.errors.find("failed on this host before") != std::string::npos, again.errors);
    require_control({"upgrade", "--force"});
    BOOST_TEST(state() == "staged");
    const std::string revision = reboot();
    BOOST_TEST(revision != failed);
    until("it is found good", [&] { return state() == "good"; });
}

BOOST_AUTO_TEST_CASE(engine_that_does_not_answer_is_given_up) {
    write_host_yaml("  settle: 1s\n  trial: 1s\n");
    start();
    engine.reset();
    const std::string failed = stage_and_reboot({.version = "2", .program = "two", .signers = {&key}});
    BOOST_TEST(booted_revision() == failed);
    until("a reboot is asked for", [&] { return !init->reboots().empty(); });
    BOOST_TEST(reboot() == first_revision); // at once: the verdict is spoken
    BOOST_TEST(state() == "rolled-back");
    const json::object now = status();
    const json::object receipt = now.at("receipts").as_array().back().as_object();
    BOOST_TEST(receipt.at("check").as_string() == "engined answers");
    BOOST_TEST(receipt.at("boots").as_int64() == 1);
    BOOST_TEST(receipt.at("condemned").as_bool());
}

BOOST_AUTO_TEST_CASE(init_waits_longer_than_the_trial) {
    write_host_yaml("  settle: 5s\n  trial: 1h\n");
    start();
    stage_and_reboot({.version = "2", .program = "two", .signers = {&key}});
    until("init is told", [&] { return !init->trials().empty(); });
    // Since the kernel started, so more than the trial, its settle time and the margin.
    BOOST_TEST(init->trials().back() > 3600U + 5U + 59U);
}

BOOST_AUTO_TEST_CASE(release_that_never_gets_as_far_is_tried_once_more) {
    start();
    publish({.version = "2", .program = "two", .signers = {&key}});
    require_control({"upgrade"});
    stop();
    base::run_checked({UPDATERD, "--root", paths.root, "--finalize"});
    const std::string failed = entries().front();
    const auto last_receipt = [this] {
        return status().at("receipts").as_array().back().as_object();
    };
    for (int tries = 0; tries < 3; ++tries)
        BOOST_TEST(boot() == failed); // and the power fails
    BOOST_TEST(boot() == first_revision);
    start();
    BOOST_TEST(state() == "rolled-back");
    BOOST_TEST(last_receipt().at("found_by").as_string() == "boot counter");
    BOOST_TEST(last_receipt().at("boots").as_int64() == 0);
    BOOST_TEST(last_receipt().at("release").as_object().at("version").as_string() == "2");
    BOOST_TEST(!last_receipt().at("condemned").as_bool());
    BOOST_TEST(require_control({"status"}).find("tried once more at the next boot") != std::string::npos);
    // updaterd may start as often as it likes in this boot.
    stop(SIGKILL);
    start();
    BOOST_TEST(!last_receipt().at("condemned").as_bool());
    stop();
    for (int tries = 0; tries < 3; ++tries)
        BOOST_TEST(boot() == failed);
    BOOST_TEST(boot() == first_revision);
    start();
    BOOST_TEST(last_receipt().at("condemned").as_bool());
    until("the good one is first", [&] { return entries().front() == first_revision && !busy(); });
    const base::RunResult again = control({"upgrade"});
    BOOST_TEST(again.status.code == 1);
    BOOST_TEST(again.errors.find("failed on this host before") != std::string::npos, again.errors);
}

BOOST_AUTO_TEST_CASE(release_that_is_tried_once_more_and_found_good) {
    start();
    publish({.version = "2", .program = "two", .signers = {&key}});
    require_control({"upgrade"});
    stop();
    base::run_checked({UPDATERD, "--root", paths.root, "--finalize"});
    const std::string second = entries().front();
    for (int tries = 0; tries < 3; ++tries)
        boot();
    power_cut();
    BOOST_TEST(state() == "rolled-back");
    BOOST_TEST(power_cut() == second);
    until("it is found good", [&] { return state() == "good"; });
    BOOST_TEST(grub_env().get("ok") == second);
}

BOOST_AUTO_TEST_CASE(workload_that_passed_before_and_fails_now) {
    write_host_yaml("  settle: 1s\n  trial: 3s\n"
                    "health:\n"
                    "  - {name: page, command: [test, -e, " +
                    directory +
                    "/page]}\n"
                    "  - {name: never, command: ['false']}\n");
    base::write_durable(directory + "/page", "");
    start();
    publish({.version = "2", .program = "two", .signers = {&key}});
    require_control({"upgrade"});
    until("the baseline is known", [&] {
        return base::read_file(paths.state_file()).find("test -e " + directory + "/page") != std::string::npos;
    });
    std::filesystem::remove(directory + "/page");
    const std::string failed = reboot();
    until("a reboot is asked for", [&] { return !init->reboots().empty(); });
    BOOST_TEST(init->reboots().front().find("workload page") != std::string::npos);
    BOOST_TEST(reboot() == first_revision);
    BOOST_TEST(require_control({"status"}).find("exit code 1") != std::string::npos);
    // Whether it passes or not: the revision that runs is good, and stays.
    BOOST_TEST(state() == "rolled-back");
    BOOST_TEST(grub_env().get("ok") == first_revision);
    BOOST_TEST(failed != first_revision);
}

BOOST_AUTO_TEST_CASE(workload_that_failed_before_is_not_the_updates_fault) {
    write_host_yaml("  settle: 1s\n  trial: 1d\nhealth: [{name: never, command: ['false']}]\n");
    start();
    const std::string second = stage_and_reboot({.version = "2", .program = "two", .signers = {&key}});
    until("it is found good", [&] { return state() == "good"; });
    BOOST_TEST(grub_env().get("ok") == second);
}

BOOST_AUTO_TEST_CASE(what_init_saw_is_in_the_receipt) {
    start();
    publish({.version = "2", .program = "two", .signers = {&key}});
    require_control({"upgrade"});
    stop();
    base::run_checked({UPDATERD, "--root", paths.root, "--finalize"});
    const std::string failed = entries().front();
    for (int tries = 0; tries < 3; ++tries)
        boot();
    base::make_directories(std::filesystem::path(paths.init_failure).parent_path());
    base::write_durable(paths.init_failure,
                        "revision=" + failed + "\nreason=engined does not start\nuptime=600\nlog:\nengined: boom\n");
    BOOST_TEST(boot() == first_revision);
    start();
    const std::string text = require_control({"status"});
    BOOST_TEST_INFO(text);
    BOOST_TEST(text.find("engined does not start") != std::string::npos);
    BOOST_TEST(text.find("| engined: boom") != std::string::npos);
    BOOST_TEST(!std::filesystem::exists(paths.init_failure));
}

BOOST_AUTO_TEST_CASE(rollback_is_tried_and_found_good) {
    start();
    BOOST_TEST(control({"rollback"}).errors.find("no other deployment") != std::string::npos);
    const std::string second = stage_and_reboot({.version = "2", .program = "two", .signers = {&key}});
    until("it is found good", [&] { return state() == "good"; });
    BOOST_TEST(require_control({"rollback", "--reboot"}).find("1 boots next") != std::string::npos);
    BOOST_TEST(init->reboots().back() == "rollback to 1");
    BOOST_TEST(state() == "rebooting");
    BOOST_TEST(entries() == (std::vector<std::string>{first_revision, second}));
    BOOST_TEST(control({"upgrade"}).errors.find("another deployment boots next") != std::string::npos);
    // Killed and started again before the reboot, it still knows.
    stop(SIGKILL);
    start();
    BOOST_TEST(state() == "rebooting");
    BOOST_TEST(reboot() == first_revision);
    until("it is found good again", [&] { return state() == "good"; });
    BOOST_TEST(grub_env().get("ok") == first_revision);
    BOOST_TEST(reboot() == first_revision);
}

BOOST_AUTO_TEST_CASE(rollback_can_be_taken_back) {
    start();
    const std::string second = stage_and_reboot({.version = "2", .program = "two", .signers = {&key}});
    until("it is found good", [&] { return state() == "good"; });
    require_control({"rollback"});
    BOOST_TEST(require_control({"rollback"}).find("2 stays the deployment to boot") != std::string::npos);
    BOOST_TEST(state() == "good");
    BOOST_TEST(reboot() == second);
    BOOST_TEST(state() == "good");
}

BOOST_AUTO_TEST_CASE(rollback_drops_what_is_staged) {
    start();
    const std::string second = stage_and_reboot({.version = "2", .program = "two", .signers = {&key}});
    until("it is found good", [&] { return state() == "good"; });
    publish({.version = "3", .program = "three", .signers = {&key}});
    require_control({"upgrade"});
    BOOST_TEST(require_control({"rollback"}).find("staged update was dropped") != std::string::npos);
    BOOST_TEST(reboot() == first_revision);
    BOOST_TEST(entries() == (std::vector<std::string>{first_revision, second}));
}

BOOST_AUTO_TEST_CASE(mark_good_by_hand) {
    start();
    engine->set("starting", "");
    const std::string second = stage_and_reboot({.version = "2", .program = "two", .signers = {&key}});
    BOOST_TEST(state() == "trying");
    BOOST_TEST(control({"upgrade"}).errors.find("on trial") != std::string::npos);
    until("a report came", [&] { return require_control({"status"}).find("waiting for") != std::string::npos; });
    BOOST_TEST(require_control({"mark-good"}).find("is good") != std::string::npos);
    BOOST_TEST(state() == "good");
    BOOST_TEST(grub_env().get("ok") == second);
    BOOST_TEST(reboot() == second);
    BOOST_TEST(state() == "good");
}

BOOST_AUTO_TEST_CASE(power_cut_before_shutdown_keeps_the_update_staged) {
    start();
    publish({.version = "2", .program = "two", .signers = {&key}});
    require_control({"upgrade"});
    BOOST_TEST(power_cut() == first_revision);
    BOOST_TEST(state() == "staged");
    const std::string second = reboot();
    BOOST_TEST(second != first_revision);
    until("it is found good", [&] { return state() == "good"; });
}

BOOST_AUTO_TEST_CASE(power_cut_between_boot_entries_and_record) {
    start();
    publish({.version = "2", .program = "two", .signers = {&key}});
    require_control({"upgrade"});
    stop();
    const std::string record = base::read_file(paths.state_file());
    base::run_checked({UPDATERD, "--root", paths.root, "--finalize"});
    base::write_durable(paths.state_file(), record); // as if the write after the deployment was lost
    const std::string second = power_cut();
    BOOST_TEST(second != first_revision);
    until("it is found good", [&] { return state() == "good"; });
    BOOST_TEST(!status().contains("staged"));
    // Nothing is left to finalise.
    BOOST_TEST(reboot() == second);
    BOOST_TEST(entries() == (std::vector<std::string>{second, first_revision}));
}

BOOST_AUTO_TEST_CASE(a_full_var_stops_updates_only) {
    // Its state on a tiny file system of its own, on which nothing can be written any more.
    const std::string& state_directory = paths.state_directory;
    start();
    const std::string revision = stage_and_reboot({.version = "2", .program = "two", .signers = {&key}});
    until("it is found good", [&] { return state() == "good"; });
    stop();
    base::check(::mount("tmpfs", state_directory.c_str(), "tmpfs", 0, "size=16k"), "mount tmpfs");
    const base::ScopeExit unmount([&] {
        stop(SIGKILL);
        ::umount2(state_directory.c_str(), MNT_DETACH);
    });
    {
        const base::UniqueFd fd = base::open_file(state_directory + "/filler", O_WRONLY | O_CREAT, 0600);
        const std::string page(4096, 'x');
        while (::write(fd.get(), page.data(), page.size()) > 0) {
        }
    }
    publish({.version = "3", .program = "three", .signers = {&key}});
    start();
    const base::RunResult upgrade = control({"upgrade"});
    BOOST_TEST(upgrade.status.code == 1);
    BOOST_TEST(upgrade.errors.find("No space left on device") != std::string::npos, upgrade.errors);
    // Back, judged and good again without a byte of state.
    require_control({"rollback"});
    BOOST_TEST(power_cut() == first_revision);
    require_control({"mark-good"});
    BOOST_TEST(grub_env().get("ok") == first_revision);
    BOOST_TEST(require_control({"status"}).find("booted    1") != std::string::npos);
    BOOST_TEST(revision != first_revision);
}

BOOST_AUTO_TEST_CASE(keys_hand_over_in_an_upgrade) {
    const SigningKey next = SigningKey::make();
    start();
    write_key_set(1, 1, {&next}, {&key, &next});
    const std::string commit = publish({.version = "2", .program = "two", .signers = {&next}});
    offer({.version = "2", .commit = commit}, {&next});
    require_control({"upgrade"});
    BOOST_TEST(reboot() != first_revision);
    until("it is found good", [&] { return state() == "good"; });
    // What the old key alone signs is not taken any more, by the new release and after going back to the old one.
    const std::string old = publish({.version = "3", .program = "three", .signers = {&key}});
    offer({.version = "3", .commit = old}, {&key});
    BOOST_TEST(control({"upgrade"}).errors.find("of which 0 by a trusted key") != std::string::npos);
    require_control({"rollback"});
    BOOST_TEST(power_cut() == first_revision);
    until("it is found good", [&] { return state() == "good"; });
    BOOST_TEST(control({"upgrade"}).errors.find("of which 0 by a trusted key") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(killed_while_downloading) {
    publish({.version = "2", .program = "two", .payload = 200'000, .signers = {&key}});
    start();
    server->stall(true); // answers no more, and keeps the connection
    base::Child client = base::Child::spawn({UPDATECTL, "--socket", paths.bus_socket, "upgrade"});
    until("it is busy", [&] { return state() == "checking" || state() == "downloading"; });
    BOOST_TEST(control({"upgrade"}).errors.find("another request is being worked on") != std::string::npos);
    stop(SIGKILL);
    BOOST_TEST(client.wait().code == 1);
    server->stall(false);
    start();
    BOOST_TEST(state() == "good");
    BOOST_TEST(require_control({"history"}).find("interrupted") != std::string::npos);
    require_control({"upgrade"});
    BOOST_TEST(state() == "staged");
}

BOOST_AUTO_TEST_CASE(damaged_state_and_boot_environment) {
    start();
    const std::string second = stage_and_reboot({.version = "2", .program = "two", .signers = {&key}});
    until("it is found good", [&] { return state() == "good"; });
    stop();
    base::write_durable(paths.state_file(), "{\"state\": \"no");
    {
        const base::UniqueFd fd = base::open_file(paths.grub_env, O_WRONLY);
        base::write_all_at(fd.get(), std::string(1024, '\0'), 0, paths.grub_env);
    }
    start();
    // Nothing is known to be good now, so it is judged anew, and the block written whole again.
    until("it is found good", [&] { return state() == "good"; });
    BOOST_TEST(grub_env().get("ok") == second);
    BOOST_TEST(std::filesystem::exists(paths.state_file() + ".bad"));
}

BOOST_AUTO_TEST_CASE(without_the_capability_it_refuses_to_start) {
    const base::RunResult run = base::run({"setpriv", "--bounding-set=-sys_admin", UPDATERD, "--finalize"});
    BOOST_TEST(run.status.code == 1);
    BOOST_TEST(run.errors.find("CAP_SYS_ADMIN is missing") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(bus_is_introspectable_and_only_root_changes) {
    start();
    const std::string address = "--address=unix:path=" + paths.bus_socket;
    const std::string tree = base::run_checked(
        {"busctl", address, "introspect", "org.atoll.Updater1", "/org/atoll/Updater1", "org.atoll.Updater1"});
    for (const char* member : {"Upgrade", "Rollback", "MarkGood", "Check", "Status", "History", "BootedRevision",
                               "StateChanged", "LastError"})
        BOOST_TEST(tree.find(member) != std::string::npos);
    const std::vector<std::string> get{
        "busctl", address, "get-property", "org.atoll.Updater1", "/org/atoll/Updater1", "org.atoll.Updater1", "State"};
    BOOST_TEST(base::run_checked(get) == "s \"good\"\n");

    // As nobody, in a directory it can reach.
    std::filesystem::permissions(directory, std::filesystem::perms(0755));
    const std::vector<std::string> as_nobody{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"};
    auto nobody = [&](std::vector<std::string> argv) {
        argv.insert(argv.begin(), as_nobody.begin(), as_nobody.end());
        return base::run(argv);
    };
    BOOST_TEST(nobody(get).output == "s \"good\"\n");
    const base::RunResult refused = nobody({UPDATECTL, "--socket", paths.bus_socket, "mark-good"});
    BOOST_TEST_INFO(refused.errors);
    BOOST_TEST(refused.status.code == 1);
    BOOST_TEST(refused.errors.find("only root may call MarkGood") != std::string::npos);
    BOOST_TEST(!nobody({"busctl", address, "call", "org.atoll.Updater1", "/org/atoll/Updater1", "org.atoll.Updater1",
                        "Upgrade", "a{sv}", "0"})
                    .status.success());
}

BOOST_AUTO_TEST_SUITE_END()
