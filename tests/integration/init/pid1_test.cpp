// PID 1 in namespaces: real signals, real orphans, real reboot(2).
#include <boost/test/unit_test.hpp>

#include <csignal>

#include "base/error.hpp"
#include "namespace_machine.hpp"

using init::EngineState;

namespace {

constexpr const char* revision = "0123456789abcdef";
const std::string trial_arguments = std::string("root=LABEL=x atoll.rev=") + revision + " atoll.trial=604800";

} // namespace

BOOST_AUTO_TEST_SUITE(pid1)

BOOST_AUTO_TEST_CASE(sets_the_system_up_and_starts_engined) {
    const NamespaceMachine machine({});
    machine.wait_until_running();
    const init::Status status = machine.status();
    BOOST_TEST(status.engine_restarts == 0U);
    BOOST_TEST(status.watchdog_seconds == 0U); // the host's is not ours
    BOOST_TEST(machine.run("cat /proc/1/comm").output == "init\n");
    BOOST_TEST(machine.run("grep ^0: /proc/1/cgroup /proc/$(pidof engined)/cgroup | cut -d: -f4").output ==
               "/\n/atoll.system/engined\n");
    BOOST_TEST(machine.run("hostname").output == "atoll\n");
    BOOST_TEST(machine.run("stat -c %a /run/atoll/init.sock /var/tmp /tmp").output == "600\n1777\n1777\n");
    BOOST_TEST(machine.file("/etc/machine-id").size() == 33U);
    // Nothing of PID 1 leaks into engined but the channel.
    BOOST_TEST(machine.run("ls /proc/$(pidof engined)/fd | tr '\\n' ' '").output == "0 1 2 3 4 ");
    BOOST_TEST(machine.run("readlink /proc/$(pidof engined)/fd/0").output == "/dev/null\n");
}

BOOST_AUTO_TEST_CASE(reaps_orphans) {
    const NamespaceMachine machine({});
    machine.wait_until_running();
    // 200 processes whose parent is gone when they end.
    machine.run("for i in $(seq 200); do (sh -c 'exit 3' &); done");
    machine.wait_until("no zombie is left", [&] {
        const base::RunResult result = machine.run("grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l");
        return result.status.success() && result.output == "0\n";
    });
    BOOST_TEST(machine.status().engine_restarts == 0U);
}

BOOST_AUTO_TEST_CASE(survives_the_end_of_everything_else) {
    const NamespaceMachine machine({});
    machine.wait_until_running();
    machine.run("kill -9 -1");
    machine.wait_until("engined is back", [&] {
        const init::Status status = machine.status();
        return status.engine_state == EngineState::running && status.engine_restarts == 1;
    });
    BOOST_TEST(std::string(machine.status().engine_last_end) == "killed by signal 9");
    // Signals that end other programs, from a process of root.
    machine.run("for s in HUP QUIT ALRM PIPE STOP TSTP KILL SEGV ABRT BUS ILL FPE SYS TRAP XCPU; do kill -$s 1; done");
    BOOST_TEST(machine.status().engine_pid > 0);
}

BOOST_AUTO_TEST_CASE(restarts_a_failing_engined_with_pauses) {
    const NamespaceMachine machine({.mode = "exit 3"});
    machine.wait_until("four restarts", [&] { return machine.status().engine_restarts >= 4; });
    BOOST_TEST(std::string(machine.status().engine_last_end) == "exit code 3");
    const std::string log = machine.log();
    BOOST_TEST(log.find("engined: up, mode exit 3") != std::string::npos); // its output is in the log
    BOOST_TEST(log.find("init: engined ended: exit code 3") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(says_why_engined_cannot_be_started) {
    const NamespaceMachine machine({.engine = false});
    machine.wait_until("it was tried", [&] { return machine.status().engine_restarts >= 1; });
    BOOST_TEST(std::string(machine.status().engine_last_end) ==
               "could not be started: execute it: No such file or directory");
}

BOOST_AUTO_TEST_CASE(kills_a_hung_engined) {
    const NamespaceMachine machine({.mode = "hang"});
    machine.wait_until_running();
    machine.wait_until(
        "engined was replaced", [&] { return machine.status().engine_restarts == 1; }, std::chrono::seconds(60));
    BOOST_TEST(machine.log().find("engined says nothing, killing it") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(stops_in_order) {
    NamespaceMachine machine({});
    machine.wait_until_running();
    machine.connect().reboot("a test");
    BOOST_TEST(machine.wait_for_end().signal == SIGHUP);
    const std::string log = machine.file("/var/lib/fake-engine/log");
    // engined first, then the updater, which sees that engined has stopped.
    BOOST_TEST(log.ends_with("stopped\nfinalize stopped\n"), log);
}

BOOST_AUTO_TEST_CASE(conventional_signals_stop_the_machine) {
    struct Case {
        const char* name;
        int end;
    };
    for (const Case& one : {Case{"INT", SIGHUP}, Case{"TERM", SIGHUP}, Case{"PWR", SIGINT}, Case{"USR2", SIGINT}}) {
        BOOST_TEST_CONTEXT(one.name) {
            NamespaceMachine machine({});
            machine.wait_until_running();
            machine.run(std::string("kill -") + one.name + " 1");
            BOOST_TEST(machine.wait_for_end().signal == one.end);
            BOOST_TEST(machine.file("/var/lib/fake-engine/log").ends_with("finalize stopped\n"));
        }
    }
}

BOOST_AUTO_TEST_CASE(one_shutdown_at_a_time_and_a_dead_engined_does_not_stop_it) {
    NamespaceMachine machine(
        {.mode = "stubborn", .scenario = "echo up >/var/lib/fake-engine/up; exec busybox sleep 1000"});
    machine.wait_until("engined runs", [&] { return machine.status().engine_pid > 0; });
    machine.wait_until("it has a child", [&] { return machine.file("/var/lib/fake-engine/up") == "up\n"; });
    machine.connect().poweroff("a test");
    machine.wait_until("it stops", [&] { return machine.status().engine_state == EngineState::stopping; });
    BOOST_TEST((machine.status().shutdown_state == init::ShutdownState::engine));
    BOOST_CHECK_NO_THROW(machine.connect().poweroff("again"));
    BOOST_CHECK_EXCEPTION(machine.connect().reboot("no, this"), base::Error,
                          [](const base::Error& error) { return error.error() == EBUSY; });
    // Its children, which it did not stop, are ended before the updater runs.
    machine.run("kill -9 $(pidof engined)");
    BOOST_TEST(machine.wait_for_end().signal == SIGINT);
    BOOST_TEST(machine.file("/var/lib/fake-engine/log").find("\nfinalize start pid=") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(one_boot_loader_job_at_a_time_and_none_in_a_shutdown) {
    NamespaceMachine machine({.mode = "stubborn"});
    machine.wait_until("engined runs", [&] { return machine.status().engine_pid > 0; });
    // Stands for updaterd: says how it was called, and stays until somebody writes into the pipe.
    machine.run("cd /var/lib/fake-engine && busybox mkfifo hold && busybox printf '%s\\n' '#!/usr/bin/sh' "
                "'[ $1 = --finalize ] && exit' 'echo \"$*\" >>/var/lib/fake-engine/jobs' "
                "'read line </var/lib/fake-engine/hold' >updaterd && busybox chmod 755 updaterd && "
                "busybox mv updaterd /usr/bin/updaterd");
    const auto refused = [&](std::uint64_t job, int error) {
        BOOST_CHECK_EXCEPTION(machine.connect().boot_loader(static_cast<init::BootLoaderJob>(job)), base::Error,
                              [&](const base::Error& thrown) { return thrown.error() == error; });
    };
    refused(3, EINVAL);
    refused(UINT64_MAX, EINVAL);
    const std::string jobs = "/var/lib/fake-engine/jobs";
    machine.connect().boot_loader(init::BootLoaderJob::look);
    machine.wait_until("it runs", [&] { return machine.file(jobs) == "--boot-loader look\n"; });
    refused(static_cast<std::uint64_t>(init::BootLoaderJob::update), EBUSY);
    machine.run("echo >/var/lib/fake-engine/hold");
    machine.wait_until("the next one is taken", [&] {
        machine.connect().boot_loader(init::BootLoaderJob::update);
        return true;
    });
    machine.wait_until("it runs", [&] { return machine.file(jobs).ends_with("\n--boot-loader update\n"); });
    machine.run("echo >/var/lib/fake-engine/hold");
    machine.connect().poweroff("a test");
    machine.wait_until("it stops", [&] { return machine.status().shutdown_state == init::ShutdownState::engine; });
    refused(static_cast<std::uint64_t>(init::BootLoaderJob::look), EBUSY);
    machine.run("kill -9 $(pidof engined)");
    BOOST_TEST(machine.wait_for_end().signal == SIGINT);
}

BOOST_AUTO_TEST_CASE(a_trial_ends_when_the_revision_is_good) {
    const NamespaceMachine machine({.kernel_arguments = trial_arguments, .ok_revision = "ffffffffffffffff"});
    machine.wait_until_running();
    init::Status status = machine.status();
    BOOST_TEST(status.on_trial == 1U);
    BOOST_TEST(status.trial_seconds_left > 0U);
    BOOST_TEST(std::string(status.revision) == revision);
    BOOST_CHECK_THROW(machine.connect().revision_good("ffffffffffffffff"), base::Error);
    BOOST_TEST(machine.status().on_trial == 1U);
    machine.connect().revision_good(revision);
    BOOST_TEST(machine.status().on_trial == 0U);
}

BOOST_AUTO_TEST_CASE(a_known_good_revision_is_not_on_trial) {
    const NamespaceMachine machine({.kernel_arguments = trial_arguments, .ok_revision = revision});
    machine.wait_until_running();
    BOOST_TEST(machine.status().on_trial == 0U);
}

BOOST_AUTO_TEST_CASE(a_revision_that_nobody_marks_good_is_given_up) {
    // The deadline counts from the start of the kernel, here the host's: it is over at once.
    NamespaceMachine machine(
        {.kernel_arguments = std::string("atoll.rev=") + revision + " atoll.trial=1", .ok_revision = "ff"});
    BOOST_TEST(machine.wait_for_end().signal == SIGHUP);
    const std::string note = machine.file(init::last_failure_path);
    BOOST_TEST(note.starts_with(std::string("revision=") + revision + "\nreason=not marked good within 1 s\n"), note);
    BOOST_TEST(note.find("log:\ninit: stage 2") != std::string::npos, note);
}

BOOST_AUTO_TEST_CASE(a_revision_whose_engined_does_not_start_is_given_up_soon) {
    NamespaceMachine machine({.engine = false, .kernel_arguments = trial_arguments, .ok_revision = "ffffffffffffffff"});
    BOOST_TEST(machine.wait_for_end(std::chrono::seconds(90)).signal == SIGHUP);
    const std::string note = machine.file(init::last_failure_path);
    BOOST_TEST(note.find("reason=engined did not stay up: could not be started: execute it: No such file or "
                         "directory, 5 restarts\n") != std::string::npos,
               note);
}

BOOST_AUTO_TEST_CASE(a_flood_of_output_does_not_stop_the_loop) {
    const NamespaceMachine machine({.scenario = "busybox yes 'some line of a program gone mad'"});
    machine.wait_until_running();
    machine.wait_until("the ring has turned over", [&] { return machine.status().log_next > 50'000; });
    BOOST_TEST(machine.status().engine_restarts == 0U);
    init::Client client = machine.connect();
    const auto line = client.log_line(0);
    BOOST_REQUIRE(line.has_value());
    BOOST_TEST(line->sequence > 40'000U); // the gap says what was dropped
    BOOST_TEST(line->text == "some line of a program gone mad");
}

BOOST_AUTO_TEST_SUITE_END()
