// Every command and every boot, killed with SIGKILL at every point between its steps: once the process that is there,
// once everybody at the same moment and a boot after it. What is found then is what was before or what is wanted, never
// something between, and the same command works.
#include <sys/file.h>

#include <functional>
#include <set>

#include "machine.hpp"

using namespace updater_test;

namespace {

struct Killed : Machine {
    Killed() {
        program = {UPDATERD_FAULTS, "--root", paths.root, "--worker", WORKER_FAULTS};
        faults = directory + "/faults";
        base::make_directories(faults);
        environment = {"UPDATER_FAULTS=" + faults};
        base::write_durable(deployment_of(first_revision) + "/etc/kept", "edited here\n");
        start();
    }

    using Points = std::set<std::string>;
    enum class Reach { process, machine };

    struct Sweep {
        std::function<void()> prepare; ///< the same state before every round
        std::function<void()> act;     ///< may be cut off anywhere; fails then
        std::function<void()> check;   ///< what holds wherever it was cut off
        std::function<void()> finish;  ///< it works now, and the way back to where `prepare` begins
        Points only;                   ///< not all points that `act` passes
    };
    /// Returns the points at which it was killed.
    Points sweep(const Sweep& what) {
        what.prepare();
        std::filesystem::resize_file(faults + "/trace", 0); // in place: updaterd has it open
        what.act();
        Points points = traced();
        what.check();
        what.finish();
        if (!what.only.empty()) {
            for (const std::string& point : what.only)
                BOOST_TEST(points.contains(point), point << " is not passed");
            points = what.only;
        }
        for (const std::string& point : points) {
            for (const Reach reach : {Reach::process, Reach::machine}) {
                BOOST_TEST_CONTEXT((reach == Reach::process ? "killed at " : "power cut at ") << point) {
                    what.prepare();
                    arm(point, reach);
                    what.act();
                    BOOST_TEST(!std::filesystem::exists(faults + "/armed"), "the point was not passed");
                    std::filesystem::remove(faults + "/armed");
                    recover(reach);
                    require_whole();
                    what.check();
                    what.finish();
                }
            }
        }
        return points;
    }
    static void require(const Points& points, std::initializer_list<const char*> expected) {
        for (const char* point : expected)
            BOOST_TEST(points.contains(point), point << " is not passed");
    }

    void arm(const std::string& point, Reach reach) const {
        base::write_durable(faults + "/armed", point + (reach == Reach::machine ? " machine" : " process"));
    }
    Points traced() const {
        Points points;
        std::string text = base::read_file(faults + "/trace");
        for (std::size_t end = 0; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1))
            points.insert(text.substr(0, end));
        return points;
    }
    void recover(Reach reach) {
        if (reach == Reach::machine) {
            stop(SIGKILL);
            // Every program of the machine holds a shared lock on it.
            const base::UniqueFd trace = base::open_file(faults + "/trace", O_RDONLY);
            until("everybody is gone", [&] { return ::flock(trace.get(), LOCK_EX | LOCK_NB) == 0; });
            boot();
        } else if (control({"status"}).status.success()) {
            return; // it was the worker
        }
        stop(SIGKILL);
        start();
    }
    void require_whole() const {
        for (const std::string& revision : entries())
            base::read_file(deployment_of(revision) + "/usr/bin/program");
        const std::string kept = base::read_file(deployment_of(booted_revision()) + "/etc/kept");
        BOOST_TEST((kept == "edited here\n" || (resets && kept == "as shipped\n")), kept);
        const base::RunResult fsck = base::run({"ostree", "fsck", "--quiet", "--repo=" + repository()});
        BOOST_TEST(fsck.status.success(), fsck.output << fsck.errors);
        BOOST_TEST(!std::filesystem::exists(paths.state_file() + ".bad"));
    }
    void require_state(std::initializer_list<const char*> allowed) const {
        const std::string now = state();
        BOOST_TEST((std::find(allowed.begin(), allowed.end(), now) != allowed.end()), "the state is " << now);
    }
    /// A command that stages something: before, or staged; then it works, and is dropped again.
    Points sweep_staging(const std::vector<std::string>& command, Points only = {}) {
        return sweep({.prepare = [] {},
                      .act = [this, command] { control(command); },
                      .check =
                          [this] {
                              require_state({"good", "staged"});
                          },
                      .finish =
                          [this, command] {
                              require_control(command);
                              BOOST_TEST(state() == "staged");
                              require_control({"cleanup", "--staged"});
                              BOOST_TEST(state() == "good");
                          },
                      .only = std::move(only)});
    }
    /// A release that was not there before, staged.
    void stage_next() {
        ++version;
        publish({.version = std::to_string(version),
                 .program = "program " + std::to_string(version),
                 .kernel = "kernel " + std::to_string(version),
                 .signers = {&key}});
        require_control({"upgrade"});
    }
    /// Starts updaterd, and waits until it was killed or `done` says so.
    template <typename F>
    void start_until(F&& done) {
        spawn();
        until("it ended or is done", [&] {
            if (daemon && daemon.wait_for(0ms))
                daemon = {};
            return !daemon || done();
        });
    }
    bool says(const std::string& part) const {
        return control({"status", "--json"}).output.find(part) != std::string::npos;
    }
    void mark_good() { require_control({"mark-good"}); }

    std::string faults;
    int version = 1;
    bool resets = false; ///< a factory reset brings /etc as shipped
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(updater_killed, Killed)

BOOST_AUTO_TEST_CASE(while_looking_for_an_update) {
    publish({.version = "2", .program = "two", .signers = {&key}});
    const Points points =
        sweep({.prepare = [] {},
               .act = [this] { control({"check"}); },
               .check = [this] { require_state({"good"}); },
               .finish = [this] { BOOST_TEST(require_control({"check"}).find("2 is available") != std::string::npos); },
               .only = {}});
    require(points, {"enter_checking", "checking", "keys_followed", "channel_read", "metadata_verified",
                     "metadata_kept", "pull_ended", "enter_good", "good"});
}

BOOST_AUTO_TEST_CASE(while_fetching_and_checking) {
    const std::string first = base::run_checked({"ostree", "rev-parse", "--repo=" + repository(), "atoll/stable"});
    const std::string second = publish({.version = "2", .program = "two", .payload = 300'000, .signers = {&key}});
    base::run_checked({MKIMAGE, "channel", directory + "/server", "--stream", "atoll/stable", "--commit", second,
                       "--delta-from", first.substr(0, 64), "--expires-days", "3650", "--key", key_file(key)});
    const Points points = sweep_staging({"upgrade"});
    require(points, {"enter_downloading", "downloading", "download_noted", "delta_fetched", "delta_applied",
                     "content_fetched", "enter_verifying", "verifying", "content_checked", "content_protected",
                     "pulled", "pull_ended", "enter_staged", "staged"});
}

BOOST_AUTO_TEST_CASE(while_staging_what_is_here) {
    stage_next();
    reboot();
    mark_good();
    require(sweep_staging({"kargs", "--append", "mine=1"}), {"protected_local", "protected", "staged"});
    sweep_staging({"deploy", "1"}, {"protected", "staged"});
    sweep_staging({"reset", "--yes"}, {"protected_local", "enter_staged"});
    const Points dropping = sweep({.prepare =
                                       [this] {
                                           require_control({"kargs", "--append", "mine=1"});
                                       },
                                   .act =
                                       [this] {
                                           control({"cleanup", "--staged"});
                                       },
                                   .check =
                                       [this] {
                                           require_state({"good", "staged"});
                                       },
                                   .finish =
                                       [this] {
                                           require_control({"cleanup", "--staged"});
                                       },
                                   .only = {}});
    require(dropping, {"enter_good", "good", "protection_dropped", "cleaned_up", "cleanup_ended"});
}

BOOST_AUTO_TEST_CASE(while_going_to_another_stream) {
    publish({.version = "2", .ref = "atoll/testing", .program = "two", .signers = {&key}});
    const auto stream_is_followed = [this](const char* stream) {
        const json::object now = status();
        for (const json::value& item : now.at("deployments").as_array())
            if (item.at("booted").as_bool())
                BOOST_TEST(item.at("stream").as_string() == stream);
    };
    sweep({.prepare = [] {},
           .act =
               [this] {
                   control({"rebase", "atoll/testing"});
               },
           .check =
               [&] {
                   require_state({"good", "staged"});
                   stream_is_followed("atoll/stable");
               },
           .finish =
               [this] {
                   require_control({"rebase", "atoll/testing"});
                   require_control({"cleanup", "--staged"});
               },
           .only = {"content_protected", "enter_staged", "staged"}});
}

BOOST_AUTO_TEST_CASE(while_the_staged_release_is_deployed) {
    std::string before;
    const auto go_on = [&] { // the boot that follows, whatever became of it
        stop();
        boot();
        start();
    };
    const Points points =
        sweep({.prepare =
                   [&] {
                       before = booted_revision();
                       stage_next();
                       stop();
                   },
               .act = [this] { finalize(); },
               .check =
                   [&] {
                       go_on();
                       if (booted_revision() == before)
                           require_state({"staged"});
                       else
                           require_state({"trying", "good"});
                   },
               .finish =
                   [&] {
                       if (booted_revision() == before)
                           reboot();
                       BOOST_TEST(booted_revision() != before);
                       BOOST_TEST(base::read_file(deployment_of(booted_revision()) + "/usr/bin/program") ==
                                  "program " + std::to_string(version));
                       mark_good();
                       BOOST_TEST(state() == "good");
                   },
               .only = {}});
    require(points, {"finalize", "order_noted", "change_begins", "tree_deployed", "accounts_merged", "entries_written",
                     "boot_flushed", "deployed", "protection_dropped", "ref_followed", "cleaned_up", "finalized",
                     "finalize_saved"});
}

BOOST_AUTO_TEST_CASE(while_a_factory_reset_is_deployed) {
    resets = true;
    std::string before;
    sweep({.prepare =
               [&] {
                   before = booted_revision();
                   require_control({"reset", "--yes"});
                   stop();
               },
           .act = [this] { finalize(); },
           .check =
               [&] {
                   stop();
                   boot();
                   start();
               },
           .finish =
               [&] {
                   if (booted_revision() == before)
                       reboot();
                   BOOST_TEST(booted_revision() != before);
                   const std::string fresh =
                       paths.root + "/ostree/deploy/atoll/var.reset-" + booted_revision() + "/tmp";
                   BOOST_TEST(std::filesystem::exists(fresh));
                   BOOST_TEST(base::read_file(deployment_of(booted_revision()) + "/etc/kept") == "as shipped\n");
                   base::write_durable(deployment_of(booted_revision()) + "/etc/kept", "edited here\n");
                   mark_good();
               },
           .only = {"tree_deployed", "var_prepared", "entries_written", "boot_flushed", "finalized"}});
}

BOOST_AUTO_TEST_CASE(while_a_boot_is_found_good) {
    std::string before;
    std::string wanted;
    const auto becomes_good = [this] {
        return state() == "good";
    };
    sweep({.prepare =
               [&] {
                   before = booted_revision();
                   stage_next();
                   stop();
                   finalize();
                   wanted = boot();
               },
           .act = [&] { start_until([&] { return says("\"state\":\"good\""); }); },
           .check =
               [&] {
                   BOOST_TEST(booted_revision() == wanted);
                   const std::string ok = grub_env().get("ok");
                   BOOST_TEST((ok == before || ok == wanted));
                   require_state({"trying", "good"});
               },
           .finish =
               [&] {
                   until("it is found good", becomes_good);
                   BOOST_TEST(grub_env().get("ok") == wanted);
                   until("it is written down",
                         [&] { return base::read_file_if_exists(paths.good_revision) == wanted + "\n"; });
                   BOOST_TEST(entries().front() == wanted);
               },
           .only = {"boot_assessed", "assessment_saved", "found_good", "ok_written", "good"}});
}

BOOST_AUTO_TEST_CASE(while_a_boot_is_found_bad) {
    write_host_yaml("  settle: 1s\n  trial: 1s\n");
    std::string failed;
    const auto spoken = [this] {
        return grub_env().get("tries") == "0";
    };
    sweep({.prepare =
               [&] {
                   stage_next();
                   stop();
                   finalize();
                   failed = boot();
                   engine->set("running", "unhealthy");
               },
           .act =
               [&] {
                   const std::size_t asked = init->reboots().size();
                   start_until([&] { return init->reboots().size() > asked; });
               },
           .check =
               [&] {
                   // Spoken again in this boot, or on disk before the power went.
                   if (booted_revision() == failed)
                       until("the verdict is spoken again", spoken);
               },
           .finish =
               [&] {
                   stop();
                   engine->set("running", "healthy");
                   BOOST_TEST(boot() == first_revision);
                   start();
                   BOOST_TEST(state() == "rolled-back");
                   const json::object receipt = status().at("receipts").as_array().back().as_object();
                   BOOST_TEST(receipt.at("release").at("revision").as_string() == failed);
                   BOOST_TEST(receipt.at("condemned").as_bool());
                   until("the good one is first", [&] { return entries().front() == first_revision && !busy(); });
               },
           .only = {"judged_bad", "receipt_saved", "tries_taken"}});
}

BOOST_AUTO_TEST_CASE(while_a_fallback_is_found_out) {
    std::string failed;
    std::string good;
    const Points points =
        sweep({.prepare =
                   [&] {
                       good = booted_revision();
                       stage_next();
                       stop();
                       finalize();
                       failed = boot();
                       base::make_directories(std::filesystem::path(paths.init_failure).parent_path());
                       base::write_durable(paths.init_failure, "revision=" + failed + "\nreason=engined ends\nlog:\n");
                       for (int tries = 0; tries < 3; ++tries)
                           boot();
                       BOOST_TEST_REQUIRE(booted_revision() == good);
                   },
               .act = [&] { start_until([&] { return says("\"busy\":false"); }); },
               .check =
                   [&] {
                       BOOST_TEST(booted_revision() == good);
                       require_state({"rolled-back"});
                   },
               .finish =
                   [&] {
                       if (entries().front() != good) { // its worker was killed: the next start makes up for it
                           stop();
                           start();
                       }
                       until("the good one is first", [&] { return entries().front() == good && !busy(); });
                       const json::object receipt = status().at("receipts").as_array().back().as_object();
                       BOOST_TEST(receipt.at("release").at("revision").as_string() == failed);
                       BOOST_TEST(receipt.at("condemned").as_bool());
                       BOOST_TEST(grub_env().get("ok") == good);
                   },
               .only = {}});
    require(points, {"boot_repaired", "boot_assessed", "assessment_saved", "count_cleared", "init_told",
                     "change_begins", "entries_written", "boot_flushed", "first", "cleaned_up", "booted_put_first"});
}

BOOST_AUTO_TEST_CASE(while_another_deployment_is_put_first) {
    stage_next();
    reboot();
    mark_good();
    // Between boots the two may have changed places: what is said is about the booted one and the other.
    const auto is_next = [this] {
        return entries().front() != booted_revision();
    };
    const auto consistent = [&] {
        require_state({"good", "trying", "rebooting", "staged"});
        BOOST_TEST((state() == "rebooting") == is_next());
    };
    const auto settle = [&] {
        if (state() == "trying")
            mark_good();
        if (state() == "staged")
            require_control({"cleanup", "--staged"});
        if (is_next())
            require_control({"rollback"});
        BOOST_TEST(state() == "good");
        BOOST_TEST(!is_next());
    };
    const Points points = sweep({.prepare =
                                     [this] {
                                         require_control({"kargs", "--append", "mine=1"});
                                     },
                                 .act = [this] { control({"rollback"}); },
                                 .check = consistent,
                                 .finish =
                                     [&] {
                                         settle();
                                         require_control({"rollback"});
                                         BOOST_TEST(state() == "rebooting");
                                         BOOST_TEST(is_next());
                                         settle();
                                     },
                                 .only = {}});
    require(points, {"enter_good", "good", "order_noted", "change_begins", "entries_written", "boot_flushed", "first",
                     "cleaned_up", "put_first_ended", "enter_rebooting", "rebooting"});
    sweep({.prepare = [this] { require_control({"rollback"}); },
           .act = [this] { control({"rollback"}); },
           .check = consistent,
           .finish = settle,
           .only = {"change_begins", "entries_written", "boot_flushed", "put_first_ended", "enter_good", "good"}});
}

BOOST_AUTO_TEST_CASE(while_pinning) {
    const auto is_pinned = [this] {
        return status().at("deployments").as_array().front().at("pinned").as_bool();
    };
    const Points points = sweep({.prepare = [] {},
                                 .act =
                                     [this] {
                                         control({"pin", "booted"});
                                     },
                                 .check = [this] { require_state({"good"}); },
                                 .finish =
                                     [&] {
                                         require_control({"pin", "booted"});
                                         BOOST_TEST(is_pinned());
                                         require_control({"unpin", "booted"});
                                         BOOST_TEST(!is_pinned());
                                     },
                                 .only = {}});
    require(points, {"change_begins", "pinned", "pin_ended"});
}

BOOST_AUTO_TEST_CASE(while_old_deployments_are_removed) {
    const Points points = sweep({.prepare =
                                     [this] {
                                         stage_next();
                                         reboot();
                                         mark_good();
                                         BOOST_TEST_REQUIRE(entries().size() == 2U);
                                     },
                                 .act =
                                     [this] {
                                         control({"cleanup", "--keep", "1"});
                                     },
                                 .check =
                                     [this] {
                                         require_state({"good"});
                                         BOOST_TEST(entries().front() == booted_revision());
                                     },
                                 .finish =
                                     [this] {
                                         require_control({"cleanup", "--keep", "1"});
                                         BOOST_TEST(entries().size() == 1U);
                                     },
                                 .only = {}});
    require(points,
            {"change_begins", "entries_written", "boot_flushed", "entries_removed", "cleaned_up", "cleanup_ended"});
}

BOOST_AUTO_TEST_SUITE_END()
